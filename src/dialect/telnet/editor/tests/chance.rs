//! Whatever is typed, said and resized, at random and however it is cut.

use super::*;

#[test]
fn no_split_of_a_packet_changes_line_or_row() {
    for packet in [
        "hi ดี 你好 e\u{301}\x1b[D\x1b[D\x1bOHx\x1b[3~\x7f👩🏽‍💻!\x1b[F end\r\nand\x01more\x7f",
        "/na\t\tx\x1b[A\x1b[A\x0e\x0ey\r\0🇩🇪🇫🇷\x02\x02\x06\x1b[200~z",
        "one\rtwo\nthree\r\0four\r\n\x10\x10\x10\x0e\x17last",
        "a line of words that is so long that it scrolls the row\x01\x06\x06\x1b[3~你好吗",
    ] {
        let packet = [packet.as_bytes(), b"\xe4\xbda\xff"].concat();
        let mut whole = Desk::new(200);
        whole.types(&packet);
        let check_line = |mut desk: Desk| {
            desk.assert_texts_above();
            assert_eq!(desk.lines, whole.lines);
            desk.types("\r");
            let line = visible(desk.lines.last().unwrap());
            assert_eq!(format!("{PROMPT}{line}").trim_end(), whole.row());
        };
        for columns in [24, 200] {
            for split in 0..=packet.len() {
                let mut desk = Desk::new(columns);
                desk.types(&packet[..split]);
                desk.types(&packet[split..]);
                if columns == 200 {
                    assert_eq!(
                        (desk.row(), desk.cursor()),
                        (whole.row(), whole.cursor()),
                        "split at {split}"
                    );
                }
                check_line(desk);
            }
            // A message and another width between any two bytes.
            let mut desk = Desk::new(columns);
            for (number, byte) in packet.iter().enumerate() {
                desk.turn(&[*byte], &["<bob> 一个消息 in between, wider than one row"]);
                desk.assert_texts_above();
                desk.resize(if number % 2 == 0 { 30 } else { columns });
            }
            check_line(desk);
        }
    }
}

#[derive(Clone, Debug)]
enum Event {
    Types(String),
    Presses(&'static str),
    Hears(String),
    Resizes(u16),
}

/// Ctrl-D.
const DELETE: &str = "\x04";

fn texts() -> impl Strategy<Value = String> {
    let clusters = [
        "你好",
        "吗",
        "สวัสดี",
        "ดี",
        "e\u{301}",
        "👍",
        "👍🏽",
        "🏽",
        "👩‍👧",
        "👩🏽‍💻",
        "❤\u{fe0f}",
        "🇩🇪",
        "🇫",
        "각",
        "\u{301}",
        "\u{200d}",
        "नि",
        "\u{fffd}",
        " an",
        "/n",
    ];
    prop_oneof![
        3 => "[a-z ]{1,8}",
        1 => "[a-z ]{20,90}",
        1 => "[你好吗朋友们，]{10,40}",
        4 => proptest::sample::select(clusters.to_vec()).prop_map(str::to_owned),
    ]
}

fn events() -> impl Strategy<Value = Event> {
    let keys = [
        "\x1b[D", "\x1b[D", "\x02", "\x1bOC", "\x06", "\x1b[H", "\x1b[7~", "\x1bOF", "\x05",
        "\x7f", "\x7f", "\x08", "\x1b[3~", DELETE, "\x15", "\x0b", "\x17", "\x1b[A", "\x10",
        "\x1bOB", "\x0e", "\t", "\t", "\r\0", "\r\n",
        // Without something typed it would be an interrupt.
        "x\x03",
    ];
    prop_oneof![
        4 => texts().prop_map(Event::Types),
        6 => proptest::sample::select(keys.to_vec()).prop_map(Event::Presses),
        2 => "(<bob> |-- )[a-z你好👍]{0,60}".prop_map(Event::Hears),
        1 => (20u16..100).prop_map(Event::Resizes),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(256))]

    #[test]
    fn whatever_happens_the_row_shows_the_line_and_all_texts_stand_above(
        events in proptest::collection::vec((events(), any::<bool>()), 1..60),
        columns in 20u16..100,
    ) {
        let mut desk = Desk::new(columns);
        let mut reference = Reference::new(4096, names_for);
        for (event, is_byte_by_byte) in events {
            let packet = match event {
                Event::Types(text) => text,
                // On an empty line it would be the end.
                Event::Presses(DELETE) if reference.line().0.is_empty() => String::new(),
                Event::Presses(key) => key.to_owned(),
                Event::Hears(text) => {
                    desk.hears(&text);
                    String::new()
                }
                Event::Resizes(columns) => {
                    desk.resize(columns);
                    String::new()
                }
            };
            reference.types(&packet);
            for piece in packet.as_bytes().chunks(if is_byte_by_byte { 1 } else { usize::MAX }) {
                desk.types(piece);
            }
            prop_assert_eq!(&desk.lines, &reference.lines());
            let (line, cursor) = reference.line();
            desk.assert_shows(&line, cursor);
        }
        desk.types("\r");
        prop_assert_eq!(desk.lines.last(), Some(&reference.line().0));
    }

    #[test]
    fn no_bytes_at_all_break_the_row(
        packets in proptest::collection::vec((proptest::collection::vec(any::<u8>(), 0..60), any::<bool>()), 1..30),
        columns in 8u16..60,
    ) {
        let mut desk = Desk::new(columns);
        for (packet, has_message) in packets {
            // Ctrl-D ends it, as two Ctrl-C do, and Ctrl-L takes away what is compared.
            let packet: Vec<u8> = packet.into_iter().filter(|&byte| byte != 0x04 && byte != 0x0c).collect();
            desk.turn(&packet, if has_message { &["<bob> hello"] } else { &[] });
            if desk.has_quit {
                break;
            }
            prop_assert!(desk.row().starts_with('>'), "{}", desk.picture());
            prop_assert_eq!(row_text(&desk.screen, desk.cursor().0, columns - 1, columns), " ");
            desk.assert_texts_above();
        }
    }
}
