//! What a server makes of a client's lines: what was asked for, and never anything else.

use super::*;

/// What the server makes of a private message: to whom, and what; `None` if there is nothing to be told.
fn tells(to: &str, words: &str) -> Result<Option<(String, String)>, Inexpressible> {
    let told = tells_in(Dialect::Telnet, to, words);
    // What stands between a person's name and words is no part of either.
    let by_program = tells_in(Dialect::Wire, to, words).map(|told| {
        let told = told?;
        Some((told.0, told.1.trim_start().to_owned()))
    });
    assert_eq!(told, by_program, "{to:?} {words:?}");
    told
}

fn tells_in(
    dialect: Dialect,
    to: &str,
    words: &str,
) -> Result<Option<(String, String)>, Inexpressible> {
    let mut line = Vec::new();
    dialect.encode_ask(Ask::Tell { to, words }, &mut line)?;
    let ends = line.iter().filter(|byte| **byte == b'\n');
    assert_eq!(ends.count(), 1, "more than one line");
    Ok(obeyed(dialect, &line, |input| match input {
        Input::Request(Request::Tell { to, words }) => Some((to.to_owned(), words.to_owned())),
        Input::Refused(request::Refusal::NoText) => None,
        obeyed => panic!("{obeyed:?}"),
    }))
}

#[test]
fn a_private_message_goes_to_whom_it_is_for() {
    let told = |to: &str, words: &str| Ok(Some((to.to_owned(), words.to_owned())));
    assert_eq!(tells("ann", "psst"), told("ann", "psst"));
    assert_eq!(tells("老罗", "/quit"), told("老罗", "/quit"));
    assert_eq!(tells("ann", "a\x15/quit"), told("ann", "a/quit"));
    assert_eq!(tells("ann", "\u{200b}"), Ok(None));
    for to in [
        "",
        " ",
        "ann bob",
        "ann\u{3000}bob",
        "an\u{200b}n",
        "\x15/quit",
        "a\x7f",
    ] {
        assert_eq!(tells(to, "x"), Err(Inexpressible::MalformedName), "{to:?}");
    }
}

/// What the server makes of a client's line.
fn obeyed<T>(dialect: Dialect, line: &[u8], look: impl FnOnce(Input<'_>) -> T) -> T {
    let (mut input, mut text) = (line, String::new());
    let mut codec = Codec::new(dialect);
    let (mut lines_in, mut work, mut out) = (0, Work::default(), Vec::new());
    let mut context = Context {
        age: Duration::ZERO,
        words_bytes_max: usize::MAX / 4,
        to: To::default(),
        work: &mut work,
        room: None,
        lines_in: &mut lines_in,
        out: &mut out,
    };
    let found = codec.next(&mut input, &mut text, &mut context);
    let seen = look(found.expect("a line"));
    let next = codec.next(&mut input, &mut text, &mut context);
    assert_eq!(next, None, "more than one line");
    seen
}

/// What the server understands of a line of words: whether they are done, and the words.
fn understood(dialect: Dialect, line: &[u8]) -> Option<(bool, String)> {
    obeyed(dialect, line, |input| match input {
        Input::Request(Request::Say(words)) => Some((false, words.to_owned())),
        Input::Request(Request::Act(words)) => Some((true, words.to_owned())),
        Input::Blank | Input::Refused(request::Refusal::NoText) => None,
        obeyed => panic!("{obeyed:?}"),
    })
}

fn reaches(dialect: Dialect, words: &str) -> Option<(bool, String)> {
    let mut line = Vec::new();
    let name = "ann";
    dialect
        .encode_ask(Ask::Words { name, words }, &mut line)
        .unwrap();
    understood(dialect, &line)
}

#[test]
fn words_are_said_or_done_in_either_dialect() {
    for (words, acts, reached) in [
        ("hello", false, "hello"),
        ("/quit", false, "/quit"),
        ("//x", false, "//x"),
        ("/", false, "/"),
        ("1/2", false, "1/2"),
        ("/men", false, "/men"),
        ("/me waves", true, "waves"),
        ("  if (x) {", false, "  if (x) {"),
        (" /quit", false, " /quit"),
        ("\t/quit", false, " /quit"),
        ("\u{3000}/quit", false, "\u{3000}/quit"),
        (" /me waves", false, " /me waves"),
        ("／quit", false, "／quit"),
        ("\u{200b}/name x", false, "/name x"),
        ("\x1b[A/quit", false, "/quit"),
        ("\u{200b} //x", false, " //x"),
    ] {
        for dialect in Dialect::OF_CLIENTS {
            assert_eq!(
                reaches(dialect, words),
                Some((acts, reached.to_owned())),
                "{words:?} in {dialect}"
            );
        }
    }
    // To a program no key is a command either: it does not type.
    for words in ["hi\x15/quit", "x\x7f/quit", "x\x08/quit", "/me x\x15/quit"] {
        assert_eq!(
            reaches(Dialect::Telnet, words),
            reaches(Dialect::Wire, words),
            "{words:?}"
        );
    }
    for dialect in Dialect::OF_CLIENTS {
        for words in ["/me", "/me  ", "/me\u{200b}"] {
            assert_eq!(reaches(dialect, words), None, "{words:?} in {dialect}");
        }
    }
}

#[test]
fn a_name_is_taken_or_refused_and_never_obeyed() {
    for name in [
        "\x15/quit",
        "\x7f\x7f\x7f\x7f\x7f\x7f/quit",
        "\x08\x08\x08\x08\x08\x08/quit",
        "\0ann",
        "a\x1b[Ann",
    ] {
        let mut line = Vec::new();
        Dialect::Telnet
            .encode_ask(Ask::Name { name, key: None }, &mut line)
            .unwrap();
        obeyed(Dialect::Telnet, &line, |input| {
            assert_eq!(
                input,
                Input::Refused(request::Refusal::MalformedName),
                "{name:?}"
            );
        });
    }
}

#[test]
fn a_room_a_name_and_a_key_are_asked_for_as_they_are() {
    let asked = |dialect: Dialect, ask: Ask<'_>| {
        let mut line = Vec::new();
        dialect.encode_ask(ask, &mut line)?;
        Ok(obeyed(dialect, &line, |input| match input {
            Input::Request(Request::Join { room, key }) => format!("join {room} {key:?}"),
            Input::Request(Request::TakeKept { name, key }) => format!("name {name} {key:?}"),
            Input::Request(Request::Rooms) => "rooms".to_owned(),
            Input::Request(Request::Keep) => "keep".to_owned(),
            Input::Request(Request::Unkeep) => "unkeep".to_owned(),
            obeyed => panic!("{obeyed:?}"),
        }))
    };
    for dialect in Dialect::OF_CLIENTS {
        let join = |room, key| asked(dialect, Ask::Join { room, key });
        assert_eq!(join("games", None), Ok("join games None".into()));
        let with_key = r#"join 老罗 Some("k/é")"#;
        assert_eq!(join("#老罗", Some("k/é")), Ok(with_key.into()));
        let name = |name, key| asked(dialect, Ask::Name { name, key });
        assert_eq!(name("ann", Some("k-1")), Ok(r#"name ann "k-1""#.into()));
        assert_eq!(asked(dialect, Ask::Keep(true)), Ok("keep".into()));
        assert_eq!(asked(dialect, Ask::Keep(false)), Ok("unkeep".into()));
        for room in ["", " ", "two rooms", "\x15/quit", "a\u{200b}"] {
            assert_eq!(
                join(room, None),
                Err(Inexpressible::MalformedName),
                "{room:?}"
            );
        }
        let long = "k".repeat(65);
        for key in ["", "two keys", "k\x15", &long] {
            assert_eq!(
                join("games", Some(key)),
                Err(Inexpressible::MalformedKey),
                "{key:?}"
            );
            assert_eq!(
                name("ann", Some(key)),
                Err(Inexpressible::MalformedKey),
                "{key:?}"
            );
        }
    }
    assert_eq!(asked(Dialect::Wire, Ask::Rooms), Ok("rooms".into()));
    let nowhere = Err(Inexpressible::NoSuchRequest);
    assert_eq!(asked(Dialect::Telnet, Ask::Rooms), nowhere);
}

/// Words of one line, most of them with something in them that a server could obey.
fn any_words() -> impl Strategy<Value = String> {
    prop::collection::vec(
        prop_oneof![
            prop::sample::select(vec![
                "/", "/quit", "/me", "/me ", "me", " ", "\t", "\0", "\u{4}", "\u{8}", "\u{15}",
                "\u{7f}", "\u{1b}", "\u{1b}[", "\u{1b}]", "\u{7}", "\u{200b}", "\u{200d}",
                "\u{3000}", "\u{a0}", "\u{301}", "\u{85}",
            ])
            .prop_map(str::to_owned),
            any::<char>()
                .prop_filter("one line", |c| !matches!(c, '\n' | '\r'))
                .prop_map(String::from),
        ],
        1..12,
    )
    .prop_map(|pieces| pieces.concat())
}

proptest! {
    #[test]
    fn words_reach_the_server_as_they_are(
        words in any_words(),
    ) {
        prop_assert_eq!(reaches(Dialect::Telnet, &words), reaches(Dialect::Wire, &words));
        prop_assert_eq!(reaches(Dialect::Wire, &words).is_some(), has_text(&words, false));
    }

    #[test]
    fn a_private_message_is_never_obeyed(to in any_words(), words in any_words()) {
        let clean = |text: &str| hygiene::clean(text.as_bytes()).text.into_owned();
        match tells(&to, &words) {
            Ok(Some(told)) => {
                let words = clean(&words).trim_start().to_owned();
                prop_assert_eq!(told, (clean(&to), words));
            }
            Ok(None) => prop_assert!(!has_text(&words, true)),
            Err(error) => prop_assert_eq!(error, Inexpressible::MalformedName),
        }
    }
}
