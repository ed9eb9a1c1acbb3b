//! The macro that makes an event enum from a list: one line an event type, with its facts, its content and its schema.

/// Facts of an event.
pub(crate) trait Facts {
    /// The key or run the event is about.
    fn subject(&self) -> Option<uuid::Uuid> {
        None
    }
}

/// Makes structs of facts. `about key: KeyId = "The key.";` before them gives each that field, and makes it the subject of the event.
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

        impl $crate::halves::Facts for $name {
            fn subject(&self) -> Option<uuid::Uuid> {
                Some(self.$subject.0)
            }
        }
    )+};
    ($($(#[$doc:meta])* $name:ident { $($(#[$field_meta:meta])* $field:ident: $ty:ty),* $(,)? })+) => {$(
        $(#[$doc])*
        #[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
        pub struct $name { $($(#[$field_meta])* pub $field: $ty),* }

        impl $crate::halves::Facts for $name {}
    )+};
}
pub(crate) use facts;

macro_rules! events {
    ($(#[$meta:meta])* $name:ident { $($(#[$doc:meta])* $variant:ident = $schema:literal ($facts:ty $(; $c:ident : $content:ty)?)),+ $(,)? }) => {
        $(#[$meta])*
        #[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
        pub enum $name { $($(#[$doc])* $variant($facts $(, Option<$content>)?)),+ }

        impl $name {
            /// Every type with its current schema.
            pub const TYPES: &'static [(&'static str, u32)] = &[$((stringify!($variant), $schema)),+];
        }

        impl cqrs_es::DomainEvent for $name {
            fn event_type(&self) -> String {
                match self { $(Self::$variant(..) => stringify!($variant).to_owned()),+ }
            }

            fn event_version(&self) -> String {
                match self { $(Self::$variant(..) => stringify!($schema).to_owned()),+ }
            }
        }

        impl $crate::event::Halved for $name {
            fn halves(&self) -> Result<$crate::event::Halves, $crate::event::EventError> {
                match self {
                    $(Self::$variant(facts $(, $c)?) => Ok($crate::event::Halves {
                        kind: stringify!($variant),
                        schema: $schema,
                        facts: $crate::event::to_json(stringify!($variant), "facts", facts)?,
                        content: None$(.or($c
                            .as_ref()
                            .map(|content| $crate::event::to_json(stringify!($variant), "content", content))
                            .transpose()?))?,
                        subject: $crate::halves::Facts::subject(facts),
                    }),)+
                }
            }

            fn subject(&self) -> Option<uuid::Uuid> {
                match self { $(Self::$variant(facts, ..) => $crate::halves::Facts::subject(facts)),+ }
            }

            fn from_halves(kind: &str, schema: u32, facts: &[u8], content: Option<&[u8]>) -> Result<Self, $crate::event::EventError> {
                let _ = content;
                match (kind, schema) {
                    $((stringify!($variant), $schema) => Ok(Self::$variant(
                        $crate::event::from_json(kind, "facts", facts)?
                        $(, {
                            let $c: Option<$content> =
                                content.map(|bytes| $crate::event::from_json(kind, "content", bytes)).transpose()?;
                            $c
                        })?
                    )),)+
                    _ => Err($crate::event::EventError::Unknown { kind: kind.to_owned(), schema }),
                }
            }
        }
    };
}
pub(crate) use events;
