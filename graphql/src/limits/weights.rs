//! What fields cost. A field that is not listed costs one point, and its value is no list.

/// The cost of a field in points, and the number of items that its subfields are counted for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Weight {
    /// Points of the field itself.
    pub points: u64,
    /// How many items it returns.
    pub items: Items,
}

/// How many items a field returns.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Items {
    /// One, or the items of the page above it: `nodes` and `edges` of a connection.
    One,
    /// So many: at most, or as a rule where the answer's budget is charged for each item.
    About(u64),
    /// As many as the list argument of this name has.
    Of(&'static str),
}

const fn points(points: u64) -> Weight {
    Weight { points, items: Items::One }
}

const fn about(items: u64) -> Weight {
    Weight { points: 1, items: Items::About(items) }
}

/// A field that is not listed.
const PLAIN: Weight = points(1);

/// Fields that return lists, JSON or long texts, or cost a read of their own. A point is about
/// thirty bytes of an answer or some microseconds of work; a text of an orchestration may have
/// hundreds of kilobytes, and a budget in bytes is charged for it as well.
const WEIGHTS: &[(&str, &str, Weight)] = &[
    ("Account", "keyCount", points(2)),
    ("Account", "openRuns", points(2)),
    ("Account", "roles", points(3)),
    ("Account", "sessions", about(20)),
    ("Admin", "accounts", points(20)),
    ("ApiKey", "activity", points(2)),
    ("ApiKey", "defaultFor", points(5)),
    ("ApiKey", "lastUsedAt", points(2)),
    ("ApiKey", "usage", points(20)),
    ("Commit", "eventIds", points(5)),
    ("CredentialError", "candidates", about(6)),
    ("CredentialResolution", "candidates", about(6)),
    ("Event", "content", points(5)),
    ("Event", "facts", points(2)),
    ("GapMarker", "steps", about(20)),
    ("KeyActivity", "callsByDay", about(90)),
    ("Orchestration", "input", points(50)),
    ("Orchestration", "output", points(20)),
    ("Orchestration", "partial", about(8)),
    ("Orchestration", "resolution", points(5)),
    ("Orchestration", "result", points(50)),
    ("Orchestration", "steps", about(20)),
    ("Query", "models", about(20)),
    ("Query", "nodes", Weight { points: 1, items: Items::Of("ids") }),
    ("Server", "features", points(2)),
    ("Session", "lastEvent", points(20)),
    ("Snapshot", "partial", about(8)),
    ("Step", "input", points(10)),
    ("Step", "output", points(5)),
    ("StepText", "text", points(5)),
    ("TextDelta", "text", points(5)),
    ("Viewer", "resolution", points(5)),
    ("Viewer", "roles", points(3)),
    ("Viewer", "sessions", about(20)),
    ("Viewer", "usage", Weight { points: 20, items: Items::About(50) }),
];

/// Lists of many types, by the name of the field.
const EVERYWHERE: &[(&str, Weight)] = &[
    ("edges", points(1)),
    ("nodes", points(1)),
    // The path of an input field.
    ("path", points(4)),
    ("userErrors", about(2)),
];

/// Lists of introspection and how long they are in this schema, about.
const INTROSPECTION: &[(&str, u64)] = &[
    ("args", 2),
    ("directives", 5),
    ("enumValues", 6),
    ("fields", 8),
    ("inputFields", 6),
    ("interfaces", 2),
    ("possibleTypes", 5),
    ("types", 100),
];

/// The weight that is listed for a field.
pub fn listed(parent: &str, field: &str) -> Option<Weight> {
    let of_type = WEIGHTS.iter().find(|(ty, name, _)| *ty == parent && *name == field);
    let anywhere = || EVERYWHERE.iter().find(|(name, _)| *name == field).map(|(_, weight)| *weight);
    of_type.map(|(.., weight)| *weight).or_else(anywhere)
}

/// The fields of the table, which a test compares with the schema.
pub fn all() -> impl Iterator<Item = (&'static str, &'static str)> {
    WEIGHTS.iter().map(|(ty, field, _)| (*ty, *field))
}

pub(super) fn of(parent: Option<&str>, field: &str) -> Weight {
    parent.and_then(|parent| listed(parent, field)).unwrap_or(PLAIN)
}

/// Items of a field below `__schema` or `__type`.
pub(super) fn of_introspection(field: &str) -> u64 {
    INTROSPECTION.iter().find(|(name, _)| *name == field).map_or(1, |(_, items)| *items)
}
