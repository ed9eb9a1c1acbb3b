//! The two invisible characters that write languages: ZERO WIDTH NON-JOINER and ZERO WIDTH JOINER.
//!
//! Persian keeps letters apart with one, Sinhala and others choose a form of letters with the other,
//! and emoji of several people are joined. Everywhere else they change nothing that is seen, and two
//! different texts would look alike. The rules are those of RFC 5892 (A.1, A.2), wider in what real
//! words need: the letters of joining scripts on both sides, and a sign before a virama (Bengali).

/// ZERO WIDTH NON-JOINER.
const NON_JOINER: char = '\u{200c}';

/// ZERO WIDTH JOINER.
const JOINER: char = '\u{200d}';

/// Whether this is one of the two.
pub(crate) const fn is_joiner(c: char) -> bool {
    matches!(c, NON_JOINER | JOINER)
}

/// Whether every joiner of the text stands where it has a meaning.
pub(crate) fn joiners_fit(text: &str) -> bool {
    text.char_indices().filter(|(_, c)| is_joiner(*c)).all(|(at, joiner)| {
        let (before, after) = text.split_at(at);
        let after = after.strip_prefix(joiner).unwrap_or_default();
        fits(joiner, before, after)
    })
}

fn fits(joiner: char, before: &str, after: &str) -> bool {
    let (last, next) = (before.chars().next_back(), after.chars().next());
    // A virama may end the word after the joiner: Marathi writes so.
    let after_virama = last.is_some_and(is_virama);
    let before_virama = last.is_some_and(char::is_alphabetic) && next.is_some_and(is_virama);
    if after_virama || before_virama {
        return true;
    }
    if joiner == NON_JOINER {
        let left = before.chars().rev().find(|c| !is_mark(*c));
        let right = after.chars().find(|c| !is_mark(*c));
        return left.is_some_and(joins) && right.is_some_and(joins);
    }
    let left = before.chars().rev().find(|c| !is_of_emoji(*c));
    left.is_some_and(is_emoji) && next.is_some_and(is_emoji)
}

/// Letters of the scripts whose letters join.
fn joins(c: char) -> bool {
    let in_script = matches!(c,
        '\u{620}'..='\u{64a}' | '\u{66e}'..='\u{6d3}' | '\u{6ee}'..='\u{6ef}' | '\u{6fa}'..='\u{6ff}'
        | '\u{710}'..='\u{74f}' | '\u{750}'..='\u{77f}' | '\u{7ca}'..='\u{7ea}' | '\u{840}'..='\u{858}'
        | '\u{860}'..='\u{86a}' | '\u{870}'..='\u{8c9}' | '\u{1820}'..='\u{18aa}' | '\u{a840}'..='\u{a873}'
        | '\u{10ac0}'..='\u{10ae4}' | '\u{10d00}'..='\u{10d23}' | '\u{1e900}'..='\u{1e943}');
    in_script && c.is_alphabetic()
}

/// Vowel signs of the scripts whose letters join.
const fn is_mark(c: char) -> bool {
    matches!(c, '\u{610}'..='\u{61a}' | '\u{64b}'..='\u{65f}' | '\u{670}' | '\u{6d6}'..='\u{6dc}'
        | '\u{6df}'..='\u{6e8}' | '\u{6ea}'..='\u{6ed}' | '\u{730}'..='\u{74a}' | '\u{8d3}'..='\u{8ff}')
}

/// Pictures, also those that are letters' signs until a selector follows.
const fn is_emoji(c: char) -> bool {
    matches!(c, '\u{a9}' | '\u{ae}' | '\u{203c}' | '\u{2049}' | '\u{2122}' | '\u{2139}'
        | '\u{2190}'..='\u{21ff}' | '\u{2300}'..='\u{27bf}' | '\u{2900}'..='\u{297f}'
        | '\u{2b00}'..='\u{2bff}' | '\u{1f000}'..='\u{1f3fa}' | '\u{1f400}'..='\u{1faff}')
}

/// What may stand between a picture and a joiner: how it is shown, and the tone of its skin.
const fn is_of_emoji(c: char) -> bool {
    matches!(c, '\u{fe0f}' | '\u{1f3fb}'..='\u{1f3ff}')
}

/// Signs that take a letter's vowel away: the characters whose combining class is 9.
const fn is_virama(c: char) -> bool {
    matches!(
        c,
        '\u{94d}'
            | '\u{9cd}'
            | '\u{a4d}'
            | '\u{acd}'
            | '\u{b4d}'
            | '\u{bcd}'
            | '\u{c4d}'
            | '\u{ccd}'
            | '\u{d3b}'
            | '\u{d3c}'
            | '\u{d4d}'
            | '\u{dca}'
            | '\u{e3a}'
            | '\u{eba}'
            | '\u{f84}'
            | '\u{1039}'
            | '\u{103a}'
            | '\u{1714}'
            | '\u{1715}'
            | '\u{1734}'
            | '\u{17d2}'
            | '\u{1a60}'
            | '\u{1b44}'
            | '\u{1baa}'
            | '\u{1bab}'
            | '\u{1bf2}'
            | '\u{1bf3}'
            | '\u{2d7f}'
            | '\u{a806}'
            | '\u{a82c}'
            | '\u{a8c4}'
            | '\u{a953}'
            | '\u{a9c0}'
            | '\u{aaf6}'
            | '\u{abed}'
            | '\u{10a3f}'
            | '\u{11046}'
            | '\u{11070}'
            | '\u{1107f}'
            | '\u{110b9}'
            | '\u{11133}'
            | '\u{11134}'
            | '\u{111c0}'
            | '\u{11235}'
            | '\u{112ea}'
            | '\u{1134d}'
            | '\u{11442}'
            | '\u{114c2}'
            | '\u{115bf}'
            | '\u{1163f}'
            | '\u{116b6}'
            | '\u{1172b}'
            | '\u{11839}'
            | '\u{1193d}'
            | '\u{1193e}'
            | '\u{119e0}'
            | '\u{11a34}'
            | '\u{11a47}'
            | '\u{11a99}'
            | '\u{11c3f}'
            | '\u{11d44}'
            | '\u{11d45}'
            | '\u{11d97}'
    )
}
