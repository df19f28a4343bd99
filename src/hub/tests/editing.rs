//! What real clients send, byte by byte and however it is cut, and what exactly is answered.

use super::clients::IAC;
use super::world::{limits, shown, World};

const WILL_BOTH: &[u8] = b"\xff\xfb\x01\xff\xfb\x03";
const DO_BOTH: &[u8] = b"\xff\xfd\x01\xff\xfd\x03";
const WONT_BOTH: &[u8] = b"\xff\xfc\x01\xff\xfc\x03";
/// The size of the window is wanted, and bytes of eight bits.
const DO_MORE: &[u8] = b"\xff\xfd\x1f\xff\xfd\x00";

/// What a client sends, and the telnet commands it gets for it.
type Step<'a> = (&'a [u8], &'a [u8]);

/// How a conversation went.
#[derive(Debug, PartialEq, Eq)]
struct Course {
    /// Each step's telnet commands.
    commands: Vec<String>,
    /// What somebody else heard of it.
    heard: Vec<String>,
    /// What stands on the screen in the end.
    picture: String,
}

/// Plays the steps; `cut` says into which packets each is cut.
fn play(steps: &[Step<'_>], cut: impl Fn(&[u8]) -> Vec<&[u8]>) -> Course {
    let mut world = World::new(limits());
    let [bob] = world.people(["bob"]);
    let ann = world.connect();
    world.turn();
    let mut screen = vt100::Parser::default();
    screen.process(&world.read(ann));
    let mut commands = Vec::new();
    for (sent, _) in steps {
        let mut answered = Vec::new();
        for packet in cut(sent) {
            world.send(ann, packet);
            answered.extend(world.read(ann));
        }
        commands.push(shown(&telnet_commands(&answered)));
        screen.process(&without_commands(&answered));
    }
    let contents = screen.screen().contents();
    // What the client's own terminal shows of the lines that are typed is not here.
    let picture: Vec<_> = contents.lines().skip(2).map(str::trim_end).collect();
    Course {
        commands,
        heard: world.lines(bob),
        picture: picture.join("\n"),
    }
}

/// Plays the steps whole, cut in two at every place, and byte by byte; the answers and the end are always the same.
#[track_caller]
fn assert_course(steps: &[Step<'_>], heard: &[&str], picture: &str) {
    let whole = play(steps, |sent| vec![sent]);
    let expected: Vec<String> = steps.iter().map(|(_, commands)| shown(commands)).collect();
    assert_eq!(whole.commands, expected);
    assert_eq!(whole.heard, heard);
    assert_eq!(whole.picture, picture);
    let longest = steps.iter().map(|(sent, _)| sent.len()).max().unwrap_or(0);
    for at in 1..longest {
        let cut = play(steps, |sent| {
            let (first, second) = sent.split_at(at.min(sent.len()));
            vec![first, second]
        });
        assert_eq!(cut, whole, "cut at {at}");
    }
    let single = play(steps, |sent| sent.chunks(1).collect());
    assert_eq!(single, whole, "byte by byte");
}

fn telnet_commands(bytes: &[u8]) -> Vec<u8> {
    let mut commands = Vec::new();
    let mut rest = bytes;
    while let Some(at) = rest.iter().position(|byte| *byte == IAC) {
        commands.extend_from_slice(&rest[at..at + 3]);
        rest = &rest[at + 3..];
    }
    commands
}

fn without_commands(bytes: &[u8]) -> Vec<u8> {
    let mut text = bytes.to_vec();
    while let Some(at) = text.iter().position(|byte| *byte == IAC) {
        text.drain(at..at + 3);
    }
    text
}

#[test]
fn putty_edits_from_its_opening_on() {
    assert_course(
        &[
            (
                b"\xff\xfb\x1f\xff\xfb\x20\xff\xfb\x18\xff\xfb\x27\xff\xfd\x01\xff\xfb\x03\xff\xfd\x03",
                b"\xff\xfd\x1f\xff\xfb\x01\xff\xfb\x03\xff\xfe\x20\xff\xfe\x18\xff\xfe\x27\xff\xfd\x03\xff\xfd\x00",
            ),
            (b"\xff\xfa\x1f\x00\x50\x00\x18\xff\xf0", b""),
            ("你好\x7f\r\0half".as_bytes(), b""),
        ],
        &["-- guest2 joined (2 here)", "<guest2> 你"],
        "<guest2> 你\n> half",
    );
}

#[test]
fn debian_telnet_called_with_a_minus_edits_from_the_first_key_on() {
    assert_course(
        &[
            (
                b"\xff\xfd\x03\xff\xfb\x18\xff\xfb\x1f\xff\xfb\x20\xff\xfb\x21\xff\xfb\x22\xff\xfb\x27\xff\xfd\x05\xff\xfb\x26",
                b"\xff\xfb\x03\xff\xfb\x01\xff\xfe\x18\xff\xfd\x1f\xff\xfe\x20\xff\xfe\x21\xff\xfe\x22\xff\xfe\x27\xff\xfc\x05\xff\xfe\x26",
            ),
            (b"\xff\xfd\x01\xff\xfa\x1f\x00\x28\x00\x18\xff\xf0half", b"\xff\xfd\x00"),(b"\xff\xfb\x00", b""),
        ],
        &[],
        "> half",
    );
}

#[test]
fn the_menu_switches_to_characters_and_back_to_lines() {
    assert_course(
        &[
            (
                b"\xff\xfd\x03\xff\xfd\x01",
                b"\xff\xfb\x03\xff\xfb\x01\xff\xfd\x1f\xff\xfd\x00",
            ),
            (b"\xff\xfb\x1f\xff\xfa\x1f\x00\x50\x00\x18\xff\xf0half", b""),
            // `mode line`: the rest of the line is gone, at once, and nothing is offered again.
            (
                b"\xff\xfe\x03\xff\xfe\x01\xff\xfb\x22",
                b"\xff\xfc\x01\xff\xfc\x03\xff\xfe\x22",
            ),
            (b"whole\r\n\xff\xfb\x18", b"\xff\xfe\x18"),
        ],
        &["-- guest2 joined (2 here)", "<guest2> whole"],
        "",
    );
}

#[test]
fn edit_is_a_wish_that_the_usual_client_meets() {
    assert_course(
        &[
            (b"/edit\r\n", WILL_BOTH),
            (&[DO_BOTH, b"hello w"].concat(), DO_MORE),
            (b"\xff\xfb\x1f\xff\xfa\x1f\x00\x50\x00\x18\xff\xf0orld", b""),
            (b"\r\0/edit off\r\0", WONT_BOTH),
            (b"\xff\xfe\x01\xff\xfe\x03again\r\n", b""),
            (b"/edit on\r\n", WILL_BOTH),
            (&[DO_BOTH, b"x"].concat(), b""),
        ],
        &[
            "-- guest2 joined (2 here)",
            "<guest2> hello world",
            "<guest2> again",
        ],
        "-- editing on\n<guest2> hello world\n-- editing off\n-- editing on\n> x",
    );
}

const REFUSED: &str = "!! your client does not speak telnet; staying in line mode";

#[test]
fn who_refuses_one_of_them_stays_in_line_mode() {
    for refusal in [
        &b"\xff\xfd\x01\xff\xfe\x03"[..],
        b"\xff\xfe\x01\xff\xfe\x03",
        b"\xff\xfe\x01\xff\xfd\x03",
        b"\xff\xfe\x03\xff\xfe\x01",
    ] {
        assert_course(
            &[
                (b"/edit\r\n", WILL_BOTH),
                (refusal, WONT_BOTH),
                // What the client says to the end of what it had agreed to.
                (b"\xff\xfe\x01\xff\xfe\x03hello\r\n", b""),
            ],
            &["-- guest2 joined (2 here)", "<guest2> hello"],
            REFUSED,
        );
    }
}

#[test]
fn busybox_comes_in_once_and_refuses_the_second_time() {
    assert_course(
        &[
            (
                b"\xff\xfd\x01\xff\xfd\x03",
                b"\xff\xfb\x01\xff\xfb\x03\xff\xfd\x1f\xff\xfd\x00",
            ),
            // The size of a window of 255 columns, not doubled as it should be.
            (
                b"\xff\xfc\x00\xff\xfb\x1f\xff\xfa\x1f\x00\xff\x00\x10\xff\xf0",
                b"",
            ),
            (b"/edit off\r\n", WONT_BOTH),
            (b"\xff\xfe\x01\xff\xfe\x03", b""),
            (b"/edit\r\n", WILL_BOTH),
            // It refuses one, and toggles the other.
            (b"\xff\xfe\x01\xff\xfd\x03", WONT_BOTH),
            (b"\xff\xfe\x03hello\r\n", b""),
        ],
        &["-- guest2 joined (2 here)", "<guest2> hello"],
        &format!("-- editing off\n{REFUSED}"),
    );
}

#[test]
fn tintin_never_answers_an_end() {
    assert_course(
        &[
            (b"/edit\r\n", WILL_BOTH),
            (DO_BOTH, DO_MORE),
            (b"/edit off\r\n", WONT_BOTH),
            (b"/edit\r\n", WILL_BOTH),
            (&[DO_BOTH, b"hi\r\n"].concat(), b""),
        ],
        &["-- guest2 joined (2 here)", "<guest2> hi"],
        "-- editing on\n-- editing off\n-- editing on\n<guest2> hi\n>",
    );
}

#[test]
fn nothing_is_offered_with_control_c() {
    let hint = "-- Ctrl-C again, or /quit, to leave";
    for key in [b'\xf4', b'\xf3', b'\xed'] {
        let sent = [b"half\xff", &[key][..], b"\xff\xfd\x06"].concat();
        let picture = if key == b'\xf4' { hint } else { "" };
        let heard: &[&str] = if key == b'\xf4' {
            &["-- guest2 joined (2 here)", "<guest2> hello"]
        } else {
            &["-- guest2 joined (2 here)", "<guest2> halfhello"]
        };
        assert_course(
            &[(&sent, b"\xff\xfb\x06"), (b"hello\r\n", b"")],
            heard,
            picture,
        );
    }
}

#[test]
fn the_late_answer_of_a_client_that_was_given_up_is_welcome() {
    assert_course(
        &[
            (b"/edit\r\n", WILL_BOTH),
            (b"too fast\r\n", b""),
            (&[DO_BOTH, b"x"].concat(), DO_MORE),
        ],
        &["-- guest2 joined (2 here)", "<guest2> too fast"],
        &format!("{REFUSED}\n-- editing on\n> x"),
    );
}

#[test]
fn an_answer_that_comes_after_the_wish_was_taken_back_changes_nothing() {
    assert_course(
        &[
            (b"/edit\r\n", WILL_BOTH),
            (b"/edit off\r\n", WONT_BOTH),
            (
                &[DO_BOTH, b"\xff\xfe\x01\xff\xfe\x03hello\r\n"].concat(),
                b"",
            ),
        ],
        &["-- guest2 joined (2 here)", "<guest2> hello"],
        &format!("{REFUSED}\n-- editing off"),
    );
}

#[test]
fn the_second_half_of_enter_is_no_part_of_the_line_after_the_editor() {
    for enter in ["\r\0", "\r\n", "\r"] {
        let off = format!("/edit off{enter}");
        assert_course(
            &[
                (b"/edit\r\n", WILL_BOTH),
                (DO_BOTH, DO_MORE),
                (off.as_bytes(), WONT_BOTH),
                (b"/name ann\r\n", b""),
            ],
            &["-- ann joined (2 here)"],
            "-- editing on\n-- editing off\n-- you are ann",
        );
    }
}

#[test]
fn a_line_that_was_too_long_when_the_editor_came_is_forgotten() {
    let long = [b'x'; 5000];
    assert_course(
        &[
            (b"/edit\r\n", WILL_BOTH),
            (&[&long, DO_BOTH].concat(), DO_MORE),
            (b"/edit off\r\n", WONT_BOTH),
            (b"hello\r\n", b""),
        ],
        &["-- guest2 joined (2 here)", "<guest2> hello"],
        "-- editing on\n-- editing off",
    );
}

#[test]
fn the_width_of_the_window_is_not_forgotten_while_nothing_is_edited() {
    let mut world = World::new(limits());
    let ann = world.connect();
    world.send(ann, [b"/edit\r\n", DO_BOTH].concat());
    world.send(
        ann,
        b"\xff\xfb\x1f\xff\xfa\x1f\x00\x50\x00\x18\xff\xf0/edit off\r\0",
    );
    // The window shrinks to 20 columns; Debian's telnet says so in line mode, too.
    world.send(ann, b"\xff\xfa\x1f\x00\x14\x00\x18\xff\xf0/edit\r\n");
    world.send(ann, DO_BOTH);
    world.read(ann);
    world.send(ann, b"0123456789abcdef");
    assert_eq!(
        shown(&world.read(ann)),
        r"0123456789abcdef",
        "one that fits"
    );
    world.send(ann, b"gh");
    assert_eq!(shown(&world.read(ann)), r"\r> 789abcdefgh\x1b[K");
}

#[test]
fn a_window_tells_its_size_before_and_while_the_line_is_edited() {
    let mut world = World::new(limits());
    let ann = world.connect();
    world.send(
        ann,
        b"\xff\xfb\x1f\xff\xfa\x1f\x00\xff\xff\x00\x18\xff\xf0/edit\r\n",
    );
    world.send(ann, DO_BOTH);
    let line = "x".repeat(252);
    world.read(ann);
    world.send(ann, &line);
    assert_eq!(shown(&world.read(ann)), line, "255 columns");
    world.send(ann, b"y");
    assert!(shown(&world.read(ann)).starts_with(r"\r> x"));
}

#[test]
fn nc_gets_no_telnet_and_no_escape_unless_it_asks_for_it() {
    let mut world = World::new(limits());
    let [bob, nc] = world.people(["bob", "nc"]);
    world.enter(bob, "/edit");
    world.send(bob, DO_BOTH);
    for line in [
        "hello",
        "/help",
        "/edit off",
        "/time on",
        "/bell on",
        "/who",
        "\x1b[A",
        "/quit",
    ] {
        world.send(bob, b"hello\r\0");
        world.enter(nc, line);
    }
    let all = world.read(nc);
    assert!(all.ends_with(b"-- goodbye\r\n"), "{}", shown(&all));
    assert!(!all.iter().any(|byte| [IAC, 0x1b].contains(byte)));
}
