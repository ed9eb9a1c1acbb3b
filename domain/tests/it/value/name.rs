use claviger_domain::secret::SecretText;
use claviger_domain::text::{
    Context, Email, FullName, IdempotencyKey, KeyName, ModelId, Password, TextError, Username,
    without_mark,
};

/// What each of the plain texts is called, its longest length, and its parser.
type Plain = (&'static str, usize, fn(&str) -> Result<String, TextError>);

fn plain_texts() -> [Plain; 4] {
    [
        ("the name", 100, |text| KeyName::parse(text).map(KeyName::into_string)),
        ("the context", 100, |text| Context::parse(text).map(Context::into_string)),
        ("the full name", 200, |text| FullName::parse(text).map(FullName::into_string)),
        ("the idempotency key", 200, |text| {
            IdempotencyKey::parse(text).map(IdempotencyKey::into_string)
        }),
    ]
}

#[test]
fn texts_are_trimmed_and_kept_as_typed() {
    for (what, _, parse) in plain_texts() {
        for (text, kept) in [
            ("a", "a"),
            (" Büro A \n", "Büro A"),
            ("日本", "日本"),
            ("❤\u{fe0f} 🔑", "❤\u{fe0f} 🔑"),
            ("葛\u{e0100}城", "葛\u{e0100}城"),
        ] {
            assert_eq!(parse(text).as_deref(), Ok(kept), "{what}");
        }
    }
}

#[test]
fn empty_texts_are_refused() {
    for (what, max, parse) in plain_texts() {
        for text in ["", " ", "\n\t", "\u{3000}\u{a0}"] {
            assert_eq!(parse(text), Err(TextError::Empty { what, min: 1, max }), "{text:?}");
        }
    }
}

#[test]
fn length_is_counted_in_characters_after_trimming() {
    for (what, max, parse) in plain_texts() {
        assert!(parse(&format!("  {}  ", "ä".repeat(max))).is_ok(), "{what}");
        assert_eq!(
            parse(&"ä".repeat(max + 1)),
            Err(TextError::TooLong { what, len: max + 1, max })
        );
    }
}

/// Invisible characters that change or hide text. Each would let two different texts look alike.
const INVISIBLE: [char; 25] = [
    '\0',
    '\n',
    '\t',
    '\u{7f}',
    '\u{85}',
    '\u{ad}',
    '\u{34f}',
    '\u{61c}',
    '\u{115f}',
    '\u{17b4}',
    '\u{180e}',
    '\u{200b}',
    '\u{200f}',
    '\u{2028}',
    '\u{202a}',
    '\u{202e}',
    '\u{2060}',
    '\u{2066}',
    '\u{2069}',
    '\u{206f}',
    '\u{3164}',
    '\u{feff}',
    '\u{ffa0}',
    '\u{e0041}',
    '\u{e01f0}',
];

#[test]
fn control_and_invisible_characters_are_refused() {
    for (what, _, parse) in plain_texts() {
        for c in INVISIBLE {
            assert_eq!(
                parse(&format!("a{c}b")),
                Err(TextError::Control { what }),
                "{what} with U+{:04X}",
                u32::from(c)
            );
        }
    }
    for c in INVISIBLE {
        assert!(Username::parse(&format!("ab{c}c")).is_err(), "U+{:04X}", u32::from(c));
        assert!(Email::parse(&format!("a{c}b@example.org")).is_err(), "U+{:04X}", u32::from(c));
    }
}

/// Joiners where they write a language or a picture: Persian, Urdu, Sinhala, Hindi, Malayalam, Bengali
/// with the joiner before the virama, N'Ko, a family, a tone of skin, a sign with its selector.
const JOINED: [&str; 14] = [
    "می\u{200c}خواهم",
    "نرم\u{200c}افزار",
    "کتابِ\u{200c}من",
    "ہم\u{200c}سفر",
    "ශ්\u{200d}රී",
    "क्\u{200d}ष",
    "क्\u{200c}ष",
    "ന്\u{200d}",
    "র\u{200d}্যাম",
    "ߓߊ\u{200c}ߓߊ",
    "👨\u{200d}👩\u{200d}👧",
    "👩🏽\u{200d}⚕\u{fe0f}",
    "❤\u{fe0f}\u{200d}🔥",
    "🏳\u{fe0f}\u{200d}🌈",
];

#[test]
fn joiners_are_taken_where_they_mean_something() {
    for (what, _, parse) in plain_texts() {
        for text in JOINED {
            assert_eq!(parse(text).as_deref(), Ok(text), "{what}");
        }
    }
    assert!(Username::parse("می\u{200c}خواهم").is_ok());
    assert!(Username::parse("ශ්\u{200d}රී").is_ok());
    assert!(Username::parse("👨\u{200d}👩\u{200d}👧").is_ok());
}

#[test]
fn joiners_that_change_nothing_are_refused() {
    for (what, _, parse) in plain_texts() {
        for text in [
            "a\u{200c}b",
            "a\u{200d}b",
            "\u{200c}",
            "\u{200d}",
            "می\u{200c}",
            "\u{200c}می",
            "می\u{200c}\u{200c}خواهم",
            "می\u{200c} خواهم",
            "م\u{200c}b",
            "م\u{200d}م",
            "👨\u{200d}",
            "\u{200d}👨",
            "👨\u{200d}\u{200d}👧",
            "👨\u{200d}a",
            "a\u{200d}👨",
            "👨\u{200c}👧",
            "1\u{200d}2",
            "日\u{200d}本",
            "क\u{200d}ष",
        ] {
            assert_eq!(parse(text), Err(TextError::Control { what }), "{text:?}");
        }
    }
    for text in ["می\u{200c}خ@example.org", "ශ්\u{200d}රී@example.org"] {
        assert_eq!(Email::parse(text), Err(TextError::Control { what: "the e-mail address" }));
    }
}

#[test]
fn the_mark_of_an_encoding_is_no_part_of_a_text() {
    for (text, rest) in [
        ("\u{feff}word", "word"),
        ("word", "word"),
        ("", ""),
        ("\u{feff}", ""),
        ("wo\u{feff}rd", "wo\u{feff}rd"),
        ("\u{feff}\u{feff}word", "\u{feff}word"),
    ] {
        assert_eq!(without_mark(text), rest, "{text:?}");
    }
}

#[test]
fn text_of_an_invisible_character_alone_is_refused() {
    for c in ['\u{200b}', '\u{3164}', '\u{feff}', '\u{ad}'] {
        assert!(KeyName::parse(&c.to_string()).is_err(), "U+{:04X}", u32::from(c));
    }
}

#[test]
fn pasted_keys_are_refused_in_any_case_and_not_repeated() {
    for (what, _, parse) in plain_texts() {
        for text in ["sk-ant-api03-hunter2", "SK-ANT-api03-hunter2", "my Sk-Ant-hunter2"] {
            let error = parse(text).unwrap_err();
            assert_eq!(error, TextError::Secret { what });
            assert!(!format!("{error} {error:?}").contains("hunter2"));
        }
    }
    assert_eq!(Username::parse("sk-ant-hunter2"), Err(TextError::Secret { what: "the username" }));
    assert_eq!(
        Email::parse("sk-ant-x@example.org"),
        Err(TextError::Secret { what: "the e-mail address" })
    );
    assert_eq!(ModelId::parse("sk-ant-x"), None);
}

#[test]
fn usernames() {
    let good = ["ada", "Ada Lovelace", "ЯRA", "日本語", "a.b-c_d", "x'y"];
    for name in good {
        assert_eq!(Username::parse(&format!(" {name} ")).unwrap().as_str(), name);
    }
    assert!(Username::parse(&"a".repeat(50)).is_ok());
    let what = "the username";
    let bad = [
        ("", TextError::Empty { what, min: 3, max: 50 }),
        (" ab ", TextError::TooShort { what, len: 2, min: 3, max: 50 }),
        (&*"a".repeat(51), TextError::TooLong { what, len: 51, max: 50 }),
        ("a\u{202e}bc", TextError::Control { what }),
        ("ada@example.org", TextError::At),
        ("@ada", TextError::At),
    ];
    for (name, error) in bad {
        assert_eq!(Username::parse(name), Err(error), "{name:?}");
    }
}

/// Usernames are unique by their NFKC fold. Characters that fold to `@` and invisible ones are
/// refused.
#[test]
fn username_cannot_hide_an_at_sign_or_a_variation_selector() {
    assert_eq!(Username::parse("ada＠home"), Err(TextError::At));
    assert_eq!(Username::parse("ada﹫home"), Err(TextError::At));
    for name in ["ada\u{fe0f}", "葛\u{e0100}城葛"] {
        assert_eq!(Username::parse(name), Err(TextError::Control { what: "the username" }));
    }
}

#[test]
fn e_mail_addresses_are_trimmed_and_lower_cased() {
    let table = [
        (" Ada@Example.ORG ", "ada@example.org"),
        ("a@b.c", "a@b.c"),
        ("first.last+tag@sub.example.co.uk", "first.last+tag@sub.example.co.uk"),
        ("\"odd\"@example.org", "\"odd\"@example.org"),
        ("ärger@büro.example", "ärger@büro.example"),
        ("x@xn--bro-hoa.example", "x@xn--bro-hoa.example"),
        ("o'hara_%@1-2.example", "o'hara_%@1-2.example"),
    ];
    for (text, kept) in table {
        assert_eq!(Email::parse(text).unwrap().as_str(), kept);
    }
}

#[test]
fn what_is_no_e_mail_address_is_refused() {
    let bad = [
        "ada",
        "ada@",
        "@example.org",
        "ada@example",
        "ada@@example.org",
        "a b@example.org",
        "ada@exa mple.org",
        "ada@.org",
        "ada@example.",
        "ada@example..org",
        "ada@-example.org",
        "ada@example-.org",
        "ada@exam_ple.org",
        "a@b@example.org",
        "ada@[127.0.0.1]",
        "Ada <ada@example.org>",
    ];
    for text in bad {
        assert_eq!(Email::parse(text), Err(TextError::Email), "{text}");
    }
    assert!(Email::parse(&format!("{}@example.org", "a".repeat(64))).is_ok());
    assert_eq!(Email::parse(&format!("{}@example.org", "a".repeat(65))), Err(TextError::Email));
    assert!(matches!(
        Email::parse(&format!("a@{}.org", "b".repeat(250))),
        Err(TextError::TooLong { len: 256, max: 254, .. })
    ));
}

/// Lower-casing may lengthen a text, and turns the Kelvin sign into a plain k: the rules apply to
/// the stored text.
#[test]
fn e_mail_address_is_checked_as_it_is_kept() {
    assert_eq!(
        Email::parse("s\u{212a}-ant-x@example.org"),
        Err(TextError::Secret { what: "the e-mail address" })
    );
    assert_eq!(Email::parse("\u{212a}im@example.org").unwrap().as_str(), "kim@example.org");
    assert_eq!(
        Email::parse(&format!("{}@example.org", "\u{130}".repeat(30))),
        Err(TextError::Email)
    );
}

#[test]
fn passwords_are_8_to_256_characters_and_never_trimmed() {
    let parse = |text: &str| Password::parse(SecretText::new(text.to_owned()));
    let what = "the password";
    assert_eq!(
        parse("1234567").err(),
        Some(TextError::TooShort { what, len: 7, min: 8, max: 256 })
    );
    assert_eq!(parse("").err(), Some(TextError::TooShort { what, len: 0, min: 8, max: 256 }));
    assert_eq!(
        parse(&"ä".repeat(257)).err(),
        Some(TextError::TooLong { what, len: 257, max: 256 })
    );
    for text in ["  12345 ", "ääääääää", &"ä".repeat(256)] {
        assert_eq!(parse(text).unwrap().expose(), text);
    }
}

#[test]
fn model_ids_are_what_may_stand_in_facts() {
    for id in ["claude-haiku-4-5-20251001", "a", "us.anthropic.claude:1_0", &"m".repeat(128)] {
        assert_eq!(ModelId::parse(id).unwrap().as_str(), id);
    }
    for id in [
        "",
        " claude",
        "claude opus",
        "claude/opus",
        "clàude",
        "claude\n",
        "SK-ANT-x",
        &"m".repeat(129),
    ] {
        assert_eq!(ModelId::parse(id), None, "{id:?}");
    }
}
