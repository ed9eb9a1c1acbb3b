//! A problem in the format of GraphQL: an error response without data.

use crate::http::edge::problem::Problem;
use crate::http::edge::renderers::Rendered;
use uuid::Uuid;

/// Field names are left out: a GraphQL error outside execution belongs to no field.
pub fn render(problem: &Problem, request_id: Uuid) -> Rendered {
    let json = serde_json::json!({
        "errors": [{
            "message": problem.shown(),
            "extensions": {
                "code": problem.code.as_str(),
                "requestId": request_id.to_string(),
            },
        }]
    });
    Rendered::json("application/json", &json)
}
