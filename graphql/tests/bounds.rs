//! Every input of the schema has a bound, and every list or JSON field a weight.

#[cfg(test)]
mod bounds {
    use async_graphql::Variables;
    use async_graphql_parser::types::{
        BaseType, InputValueDefinition, Type, TypeKind, TypeSystemDefinition,
    };
    use async_graphql_parser::{Positioned, parse_query, parse_schema};
    use claviger_domain::code::ErrorCode;
    use claviger_graphql::limits::inputs::{list_bound, text_bound};
    use claviger_graphql::limits::weights::{Items, all, listed};
    use claviger_graphql::limits::{LimitError, Limits, SchemaTypes, innermost};
    use serde_json::{Value, json};

    struct Walk {
        sdl: String,
        /// Input types and their fields, and the enums.
        inputs: Vec<(String, Vec<InputValueDefinition>)>,
        enums: Vec<String>,
        /// Scalars whose values can be text.
        texts: Vec<String>,
        /// Fields of objects: the type, the name, the arguments, the type of the value.
        fields: Vec<(String, String, Vec<InputValueDefinition>, Type)>,
    }

    fn plain(values: Vec<Positioned<InputValueDefinition>>) -> Vec<InputValueDefinition> {
        values.into_iter().map(|value| value.node).collect()
    }

    impl Walk {
        fn of(sdl: String) -> Self {
            let document = parse_schema(&sdl).expect("the SDL parses");
            let texts = vec!["String".to_owned(), "ID".to_owned()];
            let (inputs, enums, fields) = (Vec::new(), Vec::new(), Vec::new());
            let mut walk = Self { sdl, inputs, enums, texts, fields };
            for definition in document.definitions {
                let TypeSystemDefinition::Type(definition) = definition else { continue };
                let name = definition.node.name.node.to_string();
                match definition.node.kind {
                    TypeKind::InputObject(input) => walk.inputs.push((name, plain(input.fields))),
                    TypeKind::Enum(_) => walk.enums.push(name),
                    TypeKind::Object(object) => {
                        walk.fields.extend(object.fields.into_iter().map(|field| {
                            let field = field.node;
                            let arguments = plain(field.arguments);
                            (name.clone(), field.name.node.to_string(), arguments, field.ty.node)
                        }));
                    }
                    TypeKind::Scalar => walk.texts.push(name),
                    TypeKind::Interface(_) | TypeKind::Union(_) => {}
                }
            }
            walk
        }

        fn ours() -> Self {
            Self::of(claviger_graphql::sdl())
        }

        fn is_text(&self, ty: &str) -> bool {
            self.texts.iter().any(|name| name == ty)
        }

        /// Arguments and input fields: where each stands, and what it is.
        fn values(&self) -> impl Iterator<Item = (String, &InputValueDefinition)> {
            let of_inputs = self.inputs.iter().flat_map(|(name, fields)| {
                fields.iter().map(move |field| (format!("{name}.{}", field.name.node), field))
            });
            let of_fields = self.fields.iter().flat_map(|(ty, name, arguments, _)| {
                arguments
                    .iter()
                    .map(move |argument| (format!("{ty}.{name}({})", argument.name.node), argument))
            });
            of_inputs.chain(of_fields)
        }

        /// Inputs without a bound.
        fn unbounded(&self) -> Vec<String> {
            let lacks = |value: &InputValueDefinition| {
                let (name, ty) = (value.name.node.as_str(), innermost(&value.ty.node));
                let lacks_text = self.is_text(&ty) && text_bound(name, &ty).is_none();
                lacks_text || is_list(&value.ty.node) && list_bound(name).is_none()
            };
            self.values().filter(|(_, value)| lacks(value)).map(|(place, _)| place).collect()
        }

        /// List and JSON fields without a weight. A list without pages must say how long it is.
        fn weightless(&self) -> Vec<String> {
            let lacks = |(ty, name, arguments, of): &&(String, String, Vec<_>, Type)| {
                let weight = listed(ty, name);
                let is_page = |argument: &InputValueDefinition| argument.name.node == "first";
                let is_of_page = ty.ends_with("Connection") || arguments.iter().any(is_page);
                let is_plain = self.is_text(&innermost(of)) || self.enums.contains(&innermost(of));
                let has_length = is_of_page
                    || is_plain
                    || weight.is_some_and(|weight| weight.items != Items::One);
                (is_list(of) && !(weight.is_some() && has_length))
                    || (innermost(of) == "JSON" && weight.is_none())
            };
            let found = self.fields.iter().filter(lacks);
            found.map(|(ty, name, ..)| format!("{ty}.{name}")).collect()
        }
    }

    fn is_list(ty: &Type) -> bool {
        matches!(ty.base, BaseType::List(_))
    }

    #[test]
    fn every_text_and_list_that_a_client_sends_has_a_bound() {
        let walk = Walk::ours();
        assert!(walk.values().count() > 100, "the schema was read only in part");
        assert_eq!(walk.unbounded(), Vec::<String>::new(), "add these to limits/inputs.rs");
        let more = "type Query { find(text: String, many: [Int!]): Int } input More { note: ID }";
        assert_eq!(
            Walk::of(more.to_owned()).unbounded(),
            ["More.note", "Query.find(text)", "Query.find(many)"],
            "the test finds what lacks a bound"
        );
    }

    #[test]
    fn every_list_and_json_field_has_a_weight() {
        let walk = Walk::ours();
        assert!(walk.fields.len() > 200, "the schema was read only in part");
        assert_eq!(walk.weightless(), Vec::<String>::new(), "add these to limits/weights.rs");
        let more = "scalar JSON type Query { a: [Query!] b: JSON c: [String!]! d: Int }";
        assert_eq!(Walk::of(more.to_owned()).weightless(), ["Query.a", "Query.b", "Query.c"]);
        let stale: Vec<_> = all()
            .filter(|(ty, name)| {
                !walk.fields.iter().any(|known| known.0 == *ty && known.1 == *name)
            })
            .collect();
        assert!(stale.is_empty(), "not in the schema: {stale:?}");
    }

    fn ours() -> SchemaTypes {
        SchemaTypes::from_sdl(&claviger_graphql::sdl()).expect("the SDL parses")
    }

    /// Checks the inputs of a document with one operation.
    fn check(types: &SchemaTypes, query: &str, variables: Value) -> Result<(), LimitError> {
        let document = parse_query(query).expect("the query parses");
        let (_, operation) = document.operations.iter().next().expect("an operation");
        Limits::check_inputs(&document, &operation.node, &Variables::from_json(variables), types)
    }

    /// A value of this type with a text of so many bytes in it, or a list of so many items.
    fn value(ty: &Type, size: usize, is_list_at_fault: bool) -> Value {
        let text = |size: usize| Value::from("x".repeat(size));
        match &ty.base {
            BaseType::Named(_) => text(if is_list_at_fault { 1 } else { size }),
            BaseType::List(item) if is_list_at_fault => {
                Value::Array(vec![value(item, 1, true); size])
            }
            BaseType::List(item) => json!([value(item, size, false)]),
        }
    }

    #[test]
    fn each_bound_accepts_its_limit_and_refuses_one_more_and_names_the_place() {
        let walk = Walk::ours();
        // Every input as the argument of a field of its own.
        let fields = walk.inputs.iter().map(|(input, _)| format!("of{input}(input: {input}): Int"));
        let more: Vec<_> = fields.collect();
        let sdl = format!("{} extend type Query {{ {} }}", walk.sdl, more.join(" "));
        let types = SchemaTypes::from_sdl(&sdl).expect("the SDL parses");
        for (input, fields) in &walk.inputs {
            let query = format!("query($input: {input}) {{ of{input}(input: $input) }}");
            for field in fields {
                let (name, ty) = (field.name.node.as_str(), innermost(&field.ty.node));
                let path = format!("input.{name}");
                let ask = |value: Value| check(&types, &query, json!({ "input": { name: value } }));
                if walk.is_text(&ty) && ty != "JSON" {
                    let most = text_bound(name, &ty).expect("a bound");
                    assert_eq!(ask(value(&field.ty.node, most, false)), Ok(()), "{input}.{name}");
                    let error = ask(value(&field.ty.node, most + 1, false)).expect_err(&path);
                    let message =
                        format!("{path} has {} bytes: at most {most} are allowed", most + 1);
                    assert_eq!((error.code, error.message), (ErrorCode::Validation, message));
                }
                if is_list(&field.ty.node) {
                    let most = list_bound(name).expect("a bound");
                    let of = |items: usize| ask(value(&field.ty.node, items, true));
                    assert_eq!(of(most), Ok(()), "{input}.{name}");
                    let message =
                        format!("{path} has {} items: at most {most} are allowed", most + 1);
                    assert_eq!(of(most + 1).expect_err(&path).message, message);
                }
            }
        }
    }

    #[test]
    fn literals_defaults_and_fragments_are_measured_like_variables() {
        let types = ours();
        let (long, short) = ("x".repeat(1_025), "x".repeat(1_024));
        let login = |name: &str| {
            [
                format!(
                    "mutation {{ login(input: {{ usernameOrEmail: \"{name}\" }}) {{ expiresAt }} }}"
                ),
                format!(
                    "mutation($n: String = \"{name}\") {{ login(input: {{ usernameOrEmail: $n }}) {{ expiresAt }} }}"
                ),
                format!(
                    "mutation {{ ...F }} fragment F on Mutation {{ login(input: {{ usernameOrEmail: \"{name}\" }}) {{ expiresAt }} }}"
                ),
                format!(
                    "mutation {{ ... {{ login(input: {{ usernameOrEmail: \"{name}\" }}) {{ expiresAt }} }} }}"
                ),
            ]
        };
        for query in login(&short) {
            assert_eq!(check(&types, &query, json!({})), Ok(()), "{query}");
        }
        for query in login(&long) {
            let error = check(&types, &query, json!({})).expect_err("too long");
            assert_eq!(error.code, ErrorCode::Validation);
            assert!(error.message.starts_with("input.usernameOrEmail has 1025 bytes"), "{error}");
            assert!(!error.message.contains("xxx"), "the message quotes the value: {error}");
        }
    }

    #[test]
    fn a_json_value_is_measured_with_all_that_it_holds() {
        let types = ours();
        let query = "mutation($d: JSON) { startOrchestration(input: { pattern: { design: { prompt: \"p\", currentDesign: $d } } }) { commit { replayed } } }";
        let of = |size: usize| json!({ "d": { "a": [{ "b": "x".repeat(size) }] } });
        assert_eq!(check(&types, query, of(500_000)), Ok(()));
        let error = check(&types, query, of(530_000)).expect_err("too large");
        assert!(
            error.message.starts_with("input.pattern.design.currentDesign has 5300"),
            "{error}"
        );
        let many = json!({ "d": vec![0; 200_000] });
        assert!(check(&types, query, many).is_err(), "many small values are large too");
    }

    #[test]
    fn more_ids_than_nodes_takes_are_a_limit_and_everything_else_is_a_value() {
        let types = ours();
        let nodes = "query($ids: [ID!]!) { nodes(ids: $ids) { id } }";
        let of = |count: usize| check(&types, nodes, json!({ "ids": vec!["x"; count] }));
        assert_eq!(of(100), Ok(()));
        assert_eq!(of(101).expect_err("too many").code, ErrorCode::LimitExceeded);
        let kinds = "subscription($t: [String!]) { viewerEvents(types: $t) { cursor } }";
        let of = |count: usize| check(&types, kinds, json!({ "t": vec!["KeyAdded"; count] }));
        assert_eq!(of(64), Ok(()));
        let error = of(36_000).expect_err("too many");
        assert_eq!(
            (error.code, error.message.as_str()),
            (ErrorCode::Validation, "types has 36000 items: at most 64 are allowed")
        );
    }

    fn cost(query: &str, variables: Value) -> Result<u64, String> {
        let types = ours();
        let document = parse_query(query).expect("the query parses");
        let cost =
            Limits::default().check_document(&document, &Variables::from_json(variables), &types);
        cost.map(|cost| cost.points).map_err(|error| error.message)
    }

    #[test]
    fn a_list_of_ids_multiplies_what_stands_below_it() {
        let ids = |count: usize| vec!["id"; count];
        let variable =
            "query($ids: [ID!]!) { nodes(ids: $ids) { ... on Orchestration { input } } }";
        for count in [1, 7, 90] {
            let literal = format!(
                "{{ nodes(ids: {:?}) {{ ... on Orchestration {{ input }} }} }}",
                ids(count)
            );
            let points = u64::try_from(count).unwrap() * 51 + 1;
            assert_eq!(cost(&literal, json!({})), Ok(points));
            assert_eq!(cost(variable, json!({ "ids": ids(count) })), Ok(points));
        }
        let refused = cost(variable, json!({ "ids": ids(100) })).expect_err("a hundred inputs");
        assert!(refused.contains("complexity points"), "{refused}");
    }

    /// What graphql-js asks, with every option.
    const INTROSPECTION: &str = "query IntrospectionQuery { __schema { description \
        queryType { name kind } mutationType { name kind } subscriptionType { name kind } \
        types { ...FullType } directives { name description isRepeatable locations \
        args(includeDeprecated: true) { ...InputValue } } } } \
        fragment FullType on __Type { kind name description specifiedByURL isOneOf \
        fields(includeDeprecated: true) { name description args(includeDeprecated: true) { ...InputValue } \
        type { ...TypeRef } isDeprecated deprecationReason } \
        inputFields(includeDeprecated: true) { ...InputValue } interfaces { ...TypeRef } \
        enumValues(includeDeprecated: true) { name description isDeprecated deprecationReason } \
        possibleTypes { ...TypeRef } } \
        fragment InputValue on __InputValue { name description type { ...TypeRef } defaultValue \
        isDeprecated deprecationReason } \
        fragment TypeRef on __Type { kind name ofType { kind name ofType { kind name ofType { kind name \
        ofType { kind name ofType { kind name ofType { kind name ofType { kind name ofType { kind name \
        ofType { kind name } } } } } } } } } }";

    #[test]
    fn the_introspection_of_the_usual_tools_stays_under_its_bound() {
        let types = ours();
        let document = parse_query(INTROSPECTION).expect("the query parses");
        let limits = Limits::default();
        let cost = limits.check_document(&document, &Variables::default(), &types);
        let cost = cost.expect("it is allowed");
        assert!(cost.introspection * 4 < limits.introspection_points * 3, "{cost:?}");
    }

    #[test]
    fn heavy_fields_and_lists_without_pages_cost_what_they_return() {
        for (query, points) in [
            ("{ viewer { id } }", 2),
            ("{ viewer { sessions { id } } }", 2 + 20),
            (
                "{ viewer { history(first: 10) { nodes { content facts } } } }",
                1 + 1 + 10 * (1 + 5 + 2),
            ),
            ("{ orchestration(id: \"x\") { steps { input output } } }", 1 + 1 + 20 * (10 + 5)),
            ("{ orchestration(id: \"x\") { input result output } }", 1 + 50 + 50 + 20),
            (
                "{ viewer { history(types: [\"KeyAdded\", \"KeyDeleted\"]) { nodes { id } } } }",
                1 + 1 + 20 * 2 + 2,
            ),
        ] {
            assert_eq!(cost(query, json!({})), Ok(points), "{query}");
        }
    }
}
