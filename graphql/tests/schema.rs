//! The server's schema covers all of the contract except a listed rest, and the checked-in SDL is
//! current.

#[cfg(test)]
mod contract {
    use async_graphql_parser::parse_schema;
    use async_graphql_parser::types::{
        FieldDefinition, InputValueDefinition, TypeKind, TypeSystemDefinition,
    };
    use std::collections::BTreeSet;
    use std::path::{Path, PathBuf};

    /// Parts of the contract that do not exist yet: a type with all its members, a field with its
    /// arguments, or an argument. An entry must be removed once it exists.
    const NOT_YET: &[&str] = &[
        // Time travel.
        "AsOfInput",
        "Query.key(asOf)",
        "Viewer.keys(asOf)",
        "Viewer.defaultKey(asOf)",
        "Viewer.resolution(asOf)",
        // Audit.
        "Query.audit",
        "Audit",
        "AuditKey",
        "InclusionProof",
    ];

    fn file(name: &str) -> PathBuf {
        Path::new(env!("CARGO_MANIFEST_DIR")).join(name)
    }

    /// A schema as a set of lines: the place, and a property of it.
    fn lines(sdl: &str) -> BTreeSet<(String, String)> {
        let mut lines = BTreeSet::new();
        for definition in parse_schema(sdl).expect("the SDL parses").definitions {
            let TypeSystemDefinition::Type(definition) = definition else { continue };
            let (name, directives) =
                (definition.node.name.node.to_string(), &definition.node.directives);
            for directive in
                directives.iter().filter(|directive| directive.node.name.node == "oneOf")
            {
                lines.insert((name.clone(), format!("@{}", directive.node.name.node)));
            }
            of_type(&name, definition.node.kind, &mut lines);
        }
        lines
    }

    fn of_type(name: &str, kind: TypeKind, lines: &mut BTreeSet<(String, String)>) {
        let mut say = |place: String, what: String| lines.insert((place, what));
        match kind {
            TypeKind::Scalar => drop(say(name.to_owned(), "scalar".to_owned())),
            TypeKind::Object(object) => {
                say(name.to_owned(), "type".to_owned());
                for interface in object.implements {
                    say(name.to_owned(), format!("implements {}", interface.node));
                }
                object.fields.iter().for_each(|field| of_field(name, &field.node, &mut say));
            }
            TypeKind::Interface(interface) => {
                say(name.to_owned(), "interface".to_owned());
                interface.fields.iter().for_each(|field| of_field(name, &field.node, &mut say));
            }
            TypeKind::Union(union) => {
                say(name.to_owned(), "union".to_owned());
                for member in union.members {
                    say(name.to_owned(), format!("has {}", member.node));
                }
            }
            TypeKind::Enum(values) => {
                say(name.to_owned(), "enum".to_owned());
                for value in values.values {
                    say(format!("{name}.{}", value.node.value.node), "value".to_owned());
                }
            }
            TypeKind::InputObject(input) => {
                say(name.to_owned(), "input".to_owned());
                for field in &input.fields {
                    say(format!("{name}.{}", field.node.name.node), of_value(&field.node));
                }
            }
        }
    }

    fn of_field(name: &str, field: &FieldDefinition, say: &mut impl FnMut(String, String) -> bool) {
        let place = format!("{name}.{}", field.name.node);
        for argument in &field.arguments {
            say(format!("{place}({})", argument.node.name.node), of_value(&argument.node));
        }
        say(place, field.ty.node.to_string());
    }

    fn of_value(value: &InputValueDefinition) -> String {
        let default = value
            .default_value
            .as_ref()
            .map(|default| format!(" = {}", default.node))
            .unwrap_or_default();
        format!("{}{default}", value.ty.node)
    }

    /// Whether `place` is the excused one, or inside it.
    fn is_in(place: &str, excused: &str) -> bool {
        place
            .strip_prefix(excused)
            .is_some_and(|rest| rest.is_empty() || rest.starts_with(['.', '(']))
    }

    #[test]
    fn the_server_has_all_of_the_contract_except_the_listed_parts() {
        let contract = std::fs::read_to_string(file("contract.graphql")).expect("the contract");
        let (wanted, there) = (lines(&contract), lines(&claviger_graphql::sdl()));
        assert!(wanted.len() > 500, "the contract was read only in part: {} lines", wanted.len());
        let missing: Vec<_> = wanted.difference(&there).collect();
        let unexcused: Vec<_> = missing
            .iter()
            .filter(|(place, _)| !NOT_YET.iter().any(|excused| is_in(place, excused)))
            .collect();
        assert!(
            unexcused.is_empty(),
            "the server's schema lacks what the contract has: {unexcused:#?}"
        );
        let stale: Vec<_> = NOT_YET
            .iter()
            .filter(|excused| !missing.iter().any(|(place, _)| is_in(place, excused)))
            .collect();
        assert!(stale.is_empty(), "these parts exist now, remove them from the list: {stale:#?}");
    }

    #[test]
    fn no_part_listed_as_missing_exists_partially() {
        let there = lines(&claviger_graphql::sdl());
        let in_part: Vec<_> = NOT_YET
            .iter()
            .filter(|excused| there.iter().any(|(place, _)| is_in(place, excused)))
            .collect();
        assert!(
            in_part.is_empty(),
            "list only the missing members of these, not the whole: {in_part:#?}"
        );
    }

    /// `UPDATE=1 cargo test -p claviger-graphql` writes the file again.
    #[test]
    #[expect(clippy::disallowed_methods, reason = "a switch of the test, not configuration")]
    fn the_checked_in_schema_is_current() {
        let (path, sdl) = (file("schema.graphql"), claviger_graphql::sdl());
        if std::env::var("UPDATE").is_ok() {
            std::fs::write(&path, &sdl).expect("the file can be written");
        }
        let checked_in = std::fs::read_to_string(&path).unwrap_or_default();
        assert!(
            checked_in == sdl,
            "graphql/schema.graphql is stale: UPDATE=1 cargo test -p claviger-graphql"
        );
    }
}
