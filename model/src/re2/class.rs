//! Classes of characters: RE2's names for them, and how many ranges of bytes each takes. Pure.

use std::collections::{BTreeMap, BTreeSet};

use regex_syntax::hir::{Class, ClassUnicode, ClassUnicodeRange, HirKind};
use regex_syntax::utf8::{Utf8Sequence, Utf8Sequences};

use super::size::Part;

/// The ranges of bytes of all of 0x80 to 0x10FFFF, which RE2 writes in a shorter way than any other class: a start and as
/// many continuations as are left, shared.
const BEYOND_ASCII: u32 = 6;
const FIRST_BEYOND_ASCII: char = '\u{80}';

/// The class of these ranges.
pub(super) fn of(ranges: &[(char, char)]) -> ClassUnicode {
    ClassUnicode::new(ranges.iter().map(|(start, end)| ClassUnicodeRange::new(*start, *end)))
}

/// What `.` matches.
pub(super) fn any(newline: bool) -> ClassUnicode {
    let mut class = of(&[('\n', '\n')]);
    if newline {
        class = ClassUnicode::empty();
    }
    class.negate();
    class
}

/// The class that Perl calls by this letter after a backslash. ASCII alone.
pub(super) fn perl(letter: char) -> Option<ClassUnicode> {
    Some(match letter {
        'd' => of(&[('0', '9')]),
        's' => of(&[('\t', '\n'), ('\x0c', '\r'), (' ', ' ')]),
        'w' => of(&[('0', '9'), ('A', 'Z'), ('_', '_'), ('a', 'z')]),
        _ => return None,
    })
}

/// The class that POSIX calls by this name, as in `[[:alpha:]]`.
pub(super) fn posix(name: &str) -> Option<ClassUnicode> {
    Some(match name {
        "alnum" => of(&[('0', '9'), ('A', 'Z'), ('a', 'z')]),
        "alpha" => of(&[('A', 'Z'), ('a', 'z')]),
        "ascii" => of(&[('\0', '\x7f')]),
        "blank" => of(&[('\t', '\t'), (' ', ' ')]),
        "cntrl" => of(&[('\0', '\x1f'), ('\x7f', '\x7f')]),
        "digit" => of(&[('0', '9')]),
        "graph" => of(&[('!', '~')]),
        "lower" => of(&[('a', 'z')]),
        "print" => of(&[(' ', '~')]),
        "punct" => of(&[('!', '/'), (':', '@'), ('[', '`'), ('{', '~')]),
        "space" => of(&[('\t', '\r'), (' ', ' ')]),
        "upper" => of(&[('A', 'Z')]),
        "word" => of(&[('0', '9'), ('A', 'Z'), ('_', '_'), ('a', 'z')]),
        "xdigit" => of(&[('0', '9'), ('A', 'F'), ('a', 'f')]),
        _ => return None,
    })
}

/// Unicode's general categories and scripts by the names that RE2 has for them, which are case-sensitive.
const UNICODE: &str = "L Ll Lm Lo Lt Lu M Mc Me Mn N Nd Nl No P Pc Pd Pe Pf Pi Po Ps S Sc Sk Sm So Z Zl Zp Zs Cc Cf Co \
    Adlam Ahom Anatolian_Hieroglyphs Arabic Armenian Avestan Balinese Bamum Bassa_Vah Batak Bengali Bhaiksuki \
    Bopomofo Brahmi Braille Buginese Buhid Canadian_Aboriginal Carian Caucasian_Albanian Chakma Cham Cherokee \
    Chorasmian Common Coptic Cuneiform Cypriot Cypro_Minoan Cyrillic Deseret Devanagari Dives_Akuru Dogra \
    Duployan Egyptian_Hieroglyphs Elbasan Elymaic Ethiopic Georgian Glagolitic Gothic Grantha Greek Gujarati \
    Gunjala_Gondi Gurmukhi Han Hangul Hanifi_Rohingya Hanunoo Hatran Hebrew Hiragana Imperial_Aramaic Inherited \
    Inscriptional_Pahlavi Inscriptional_Parthian Javanese Kaithi Kannada Katakana Kawi Kayah_Li Kharoshthi \
    Khitan_Small_Script Khmer Khojki Khudawadi Lao Latin Lepcha Limbu Linear_A Linear_B Lisu Lycian Lydian \
    Mahajani Makasar Malayalam Mandaic Manichaean Marchen Masaram_Gondi Medefaidrin Meetei_Mayek Mende_Kikakui \
    Meroitic_Cursive Meroitic_Hieroglyphs Miao Modi Mongolian Mro Multani Myanmar Nabataean Nag_Mundari \
    Nandinagari New_Tai_Lue Newa Nko Nushu Nyiakeng_Puachue_Hmong Ogham Ol_Chiki Old_Hungarian Old_Italic \
    Old_North_Arabian Old_Permic Old_Persian Old_Sogdian Old_South_Arabian Old_Turkic Old_Uyghur Oriya Osage \
    Osmanya Pahawh_Hmong Palmyrene Pau_Cin_Hau Phags_Pa Phoenician Psalter_Pahlavi Rejang Runic Samaritan \
    Saurashtra Sharada Shavian Siddham SignWriting Sinhala Sogdian Sora_Sompeng Soyombo Sundanese Syloti_Nagri \
    Syriac Tagalog Tagbanwa Tai_Le Tai_Tham Tai_Viet Takri Tamil Tangsa Tangut Telugu Thaana Thai Tibetan \
    Tifinagh Tirhuta Toto Ugaritic Vai Vithkuqi Wancho Warang_Citi Yezidi Yi Zanabazar_Square";

/// The class that Unicode calls by this name, as in `\p{Greek}`; `None` when RE2 does not know it.
pub(super) fn unicode(name: &str) -> Option<ClassUnicode> {
    match name {
        "Any" => return Some(any(true)),
        "C" => {
            let parts = ["Cc", "Cf", "Co"].into_iter().filter_map(unicode);
            return parts.reduce(|mut all, part| {
                all.union(&part);
                all
            });
        }
        _ => {}
    }
    if !UNICODE.split(' ').any(|known| known == name) {
        return None;
    }
    let class = regex_syntax::parse(&format!("\\p{{{name}}}")).ok()?;
    match class.into_kind() {
        HirKind::Class(Class::Unicode(class)) => Some(class),
        // A class of one character.
        HirKind::Literal(literal) => {
            let text = std::str::from_utf8(&literal.0).ok()?;
            text.chars().next().map(|only| of(&[(only, only)]))
        }
        _ => None,
    }
}

/// One character of the class.
pub(super) fn part(class: &ClassUnicode) -> Part {
    let ranges = class.ranges().iter().map(|range| (range.start(), range.end()));
    let ascii = ranges.clone().filter(|(start, _)| start.is_ascii());
    let upper = ascii.clone().filter(|(start, end)| *start >= 'A' && *end <= 'Z');
    let folds = folds_ascii(class);
    let folded = if folds { count(upper) } else { 0 };
    let mut sequences = Vec::new();
    let mut size = count(ascii).saturating_sub(folded);
    for (start, end) in ranges.filter(|(_, end)| !end.is_ascii()) {
        let start = start.max(FIRST_BEYOND_ASCII);
        if start == FIRST_BEYOND_ASCII && end == char::MAX {
            size = size.saturating_add(BEYOND_ASCII);
        } else {
            sequences.extend(Utf8Sequences::new(start, end));
        }
    }
    let part = Part::bytes(size.saturating_add(of_sequences(&sequences)), folded, !folds);
    part.spelled(has(class, '/'), is_of_queries(class))
}

/// Whether no path has any of its characters, but the query or the fragment behind one.
fn is_of_queries(class: &ClassUnicode) -> bool {
    let begins_one =
        |only: &ClassUnicodeRange| only.start() == only.end() && matches!(only.start(), '?' | '#');
    !class.ranges().is_empty() && class.ranges().iter().all(begins_one)
}

fn has(class: &ClassUnicode, character: char) -> bool {
    class.ranges().iter().any(|range| range.start() <= character && character <= range.end())
}

fn count<T>(ranges: impl Iterator<Item = T>) -> u32 {
    u32::try_from(ranges.count()).unwrap_or(u32::MAX)
}

/// Whether each ASCII letter is in the class in both cases or in none.
fn folds_ascii(class: &ClassUnicode) -> bool {
    ('A'..='Z').all(|letter| has(class, letter) == has(class, letter.to_ascii_lowercase()))
}

/// Sequences that begin alike share what they begin with. Ends that several share may take a jump each.
fn of_sequences(sequences: &[Utf8Sequence]) -> u32 {
    let mut beginnings = BTreeSet::new();
    let mut ends: BTreeMap<Vec<(u8, u8)>, usize> = BTreeMap::new();
    for sequence in sequences {
        let bytes: Vec<(u8, u8)> = sequence.as_slice().iter().map(|range| (range.start, range.end)).collect();
        for at in 1..bytes.len() {
            *ends.entry(bytes[at..].to_vec()).or_default() += 1;
        }
        for length in 1..=bytes.len() {
            beginnings.insert(bytes[..length].to_vec());
        }
    }
    let shared = ends.values().filter(|times| **times > 1).count();
    u32::try_from(beginnings.len() + shared).unwrap_or(u32::MAX)
}
