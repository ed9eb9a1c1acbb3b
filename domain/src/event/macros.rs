//! The macros that declare event types: one line per type, with its facts, its content, its schema
//! and the schemas before it.

/// Declares structs of facts. `about key: KeyId = "The key.";` before them gives each that field
/// and makes it the event's subject.
macro_rules! facts {
    (
        about $subject:ident: $id:ty = $what:literal;
        $($(#[$doc:meta])* $name:ident { $($(#[$field_meta:meta])* $field:ident: $ty:ty),* $(,)? })+
    ) => {$(
        $(#[$doc])*
        #[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
        pub struct $name {
            #[doc = $what]
            pub $subject: $id,
            $($(#[$field_meta])* pub $field: $ty),*
        }

        impl $crate::event::Facts for $name {
            fn subject(&self) -> Option<uuid::Uuid> {
                Some(self.$subject.0)
            }
        }
    )+};
    ($($(#[$doc:meta])* $name:ident { $($(#[$field_meta:meta])* $field:ident: $ty:ty),* $(,)? })+) => {$(
        $(#[$doc])*
        #[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
        pub struct $name { $($(#[$field_meta])* pub $field: $ty),* }

        impl $crate::event::Facts for $name {}
    )+};
}
pub(crate) use facts;

/// Declares an event enum.
///
/// `Renamed = 2 (Facts; content: Content)` is a type, its current schema and its shape. Behind it
/// stand the schemas before, each with the shape that it was stored in and a function that makes
/// the current event of it: `from { 1 => (OldFacts; content: OldContent) by upcast }`, where
/// `upcast` takes the old facts and, if the old shape has content, an `Option` of it, and returns
/// the event. Without content it must return an event without content: content may be erased. A
/// schema that was ever written stays in the list: its events are read as long as the log exists.
macro_rules! events {
    (
        $(#[$meta:meta])*
        $name:ident { $(
            $(#[$doc:meta])*
            $variant:ident = $schema:literal ($facts:ty $(; $c:ident : $content:ty)?)
            $(from { $($old:literal => ($old_facts:ty $(; $oc:ident : $old_content:ty)?) by $upcast:path),+ $(,)? })?
        ),+ $(,)? }
    ) => {
        $(#[$meta])*
        #[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
        pub enum $name { $($(#[$doc])* $variant($facts $(, Option<$content>)?)),+ }

        impl cqrs_es::DomainEvent for $name {
            fn event_type(&self) -> String {
                match self { $(Self::$variant(..) => stringify!($variant).to_owned()),+ }
            }

            fn event_version(&self) -> String {
                match self { $(Self::$variant(..) => stringify!($schema).to_owned()),+ }
            }
        }

        impl $crate::event::Payload for $name {
            const CURRENT: &'static [$crate::event::Shape] = &[$((stringify!($variant), $schema)),+];
            const OLDER: &'static [$crate::event::Shape] = &[$($($((stringify!($variant), $old),)+)?)+];

            fn parts(&self) -> Result<$crate::event::EventParts, $crate::event::EventError> {
                match self {
                    $(Self::$variant(facts $(, $c)?) => Ok($crate::event::EventParts {
                        kind: stringify!($variant),
                        schema: $schema,
                        facts: $crate::event::to_json(stringify!($variant), "facts", facts)?,
                        content: None$(.or($c
                            .as_ref()
                            .map(|content| $crate::event::to_json(stringify!($variant), "content", content))
                            .transpose()?))?,
                        subject: $crate::event::Facts::subject(facts),
                    }),)+
                }
            }

            fn subject(&self) -> Option<uuid::Uuid> {
                match self { $(Self::$variant(facts, ..) => $crate::event::Facts::subject(facts)),+ }
            }

            fn decode(kind: &str, schema: u32, facts: &[u8], content: Option<&[u8]>) -> Result<Self, $crate::event::EventError> {
                let _ = content;
                match (kind, schema) {
                    $((stringify!($variant), $schema) => Ok(Self::$variant(
                        $crate::event::from_json(kind, "facts", facts)?
                        $(, {
                            let $c: Option<$content> =
                                content.map(|bytes| $crate::event::from_json(kind, "content", bytes)).transpose()?;
                            $c
                        })?
                    )),
                    $($((stringify!($variant), $old) => {
                        let older: $old_facts = $crate::event::from_json(kind, "facts", facts)?;
                        Ok($upcast(older $(, {
                            let $oc: Option<$old_content> =
                                content.map(|bytes| $crate::event::from_json(kind, "content", bytes)).transpose()?;
                            $oc
                        })?))
                    })+)?)+
                    _ => Err($crate::event::EventError::Unknown { kind: kind.to_owned(), schema }),
                }
            }
        }
    };
}
pub(crate) use events;
