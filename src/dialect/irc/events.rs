//! What a room hears, in the one encoding that all its IRC clients share, and the one with the time before each line.

use crate::dialect::event::{Event, Presence, Scene};
use crate::dialect::irc::lines::{put, put_time, put_words};

/// Adds what the room hears; `with_time` before each line.
pub(in crate::dialect) fn encode_event(
    event: &Event<'_>,
    scene: &Scene<'_>,
    with_time: bool,
    out: &mut Vec<u8>,
) {
    let time = with_time.then_some(scene.at.wall_seconds);
    let Scene { room, user, .. } = *scene;
    let said = |name, verb| format!(":{name}!{user}@chatd {verb} #{room} :");
    match *event {
        Event::Said { name, words } => put_words(out, time, &said(name, "PRIVMSG"), false, words),
        Event::Did { name, words } => put_words(out, time, &said(name, "PRIVMSG"), true, words),
        Event::Noticed { name, words } => put_words(out, time, &said(name, "NOTICE"), false, words),
        Event::Announced {
            before,
            words,
            server,
        } => {
            let prefix = format!(":{server} NOTICE #{room} :{before}");
            put_words(out, time, &prefix, false, words);
        }
        Event::Operator { name, on, server } => {
            let sign = if on { '+' } else { '-' };
            tag(time, out);
            put(out, format_args!(":{server} MODE #{room} {sign}o {name}"));
        }
        Event::Presence(presence) => encode_presence(presence, scene, time, out),
    }
}

/// Sums are for people who have no list of who is there.
fn encode_presence(
    presence: Presence<'_>,
    scene: &Scene<'_>,
    time: Option<u64>,
    out: &mut Vec<u8>,
) {
    let Scene { room, user, .. } = *scene;
    if !matches!(
        presence,
        Presence::MoreJoined { .. } | Presence::MoreLeft { .. } | Presence::MoreRenamed { .. }
    ) {
        tag(time, out);
    }
    match presence {
        Presence::Joined { name, .. } => {
            put(out, format_args!(":{name}!{user}@chatd JOIN #{room}"));
        }
        Presence::Left { name, words, .. } => {
            put(out, format_args!(":{name}!{user}@chatd QUIT :{words}"));
        }
        Presence::Parted {
            name, words: "", ..
        }
        | Presence::WentTo { name, .. } => {
            put(out, format_args!(":{name}!{user}@chatd PART #{room}"));
        }
        Presence::Parted { name, words, .. } => {
            put(
                out,
                format_args!(":{name}!{user}@chatd PART #{room} :{words}"),
            );
        }
        Presence::Renamed { from, to } => {
            put(out, format_args!(":{from}!{user}@chatd NICK :{to}"));
        }
        Presence::MoreJoined { .. } | Presence::MoreLeft { .. } | Presence::MoreRenamed { .. } => {}
    }
}

fn tag(time: Option<u64>, out: &mut Vec<u8>) {
    if let Some(wall_seconds) = time {
        put_time(out, wall_seconds);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::dialect::event::Moment;
    use crate::name::Name;
    use crate::room_name::RoomName;

    fn heard(event: Event<'_>, with_time: bool) -> String {
        let scene = Scene {
            at: Moment {
                number: 1,
                wall_seconds: 1_795_788_345,
            },
            room: "lobby",
            user: "telnet",
        };
        let mut out = Vec::new();
        encode_event(&event, &scene, with_time, &mut out);
        String::from_utf8(out).expect("UTF-8")
    }

    #[test]
    fn what_happens_is_told_in_the_words_of_irc() {
        let (ann, luo) = (Name::parse("ann").unwrap(), Name::parse("罗永浩").unwrap());
        let games = RoomName::parse("games").unwrap();
        let (name, here, words) = (&ann, 2, "hello there");
        let server = "irc.example.org";
        let presence = Event::Presence;
        for (event, line) in [
            (
                Event::Said { name, words },
                ":ann!telnet@chatd PRIVMSG #lobby :hello there",
            ),
            (
                Event::Did {
                    name,
                    words: "waves",
                },
                ":ann!telnet@chatd PRIVMSG #lobby :\x01ACTION waves\x01",
            ),
            (
                Event::Noticed { name, words },
                ":ann!telnet@chatd NOTICE #lobby :hello there",
            ),
            (
                Event::Announced {
                    before: "announcement: ",
                    words: "noon",
                    server,
                },
                ":irc.example.org NOTICE #lobby :announcement: noon",
            ),
            (
                Event::Operator {
                    name,
                    on: true,
                    server,
                },
                ":irc.example.org MODE #lobby +o ann",
            ),
            (
                presence(Presence::Joined { name: &luo, here }),
                ":罗永浩!telnet@chatd JOIN #lobby",
            ),
            (
                presence(Presence::Left {
                    name,
                    words: "bye",
                    here,
                }),
                ":ann!telnet@chatd QUIT :bye",
            ),
            (
                presence(Presence::Parted {
                    name,
                    words: "bye",
                    here,
                }),
                ":ann!telnet@chatd PART #lobby :bye",
            ),
            (
                presence(Presence::Parted {
                    name,
                    words: "",
                    here,
                }),
                ":ann!telnet@chatd PART #lobby",
            ),
            (
                presence(Presence::WentTo {
                    name,
                    to: &games,
                    here,
                }),
                ":ann!telnet@chatd PART #lobby",
            ),
            (
                presence(Presence::Renamed {
                    from: name,
                    to: &luo,
                }),
                ":ann!telnet@chatd NICK :罗永浩",
            ),
        ] {
            assert_eq!(heard(event, false), format!("{line}\r\n"));
            let timed = format!("@time=2026-11-27T14:05:45.000Z {line}\r\n");
            assert_eq!(heard(event, true), timed);
        }
        for sum in [
            Presence::MoreJoined { count: 3, here },
            Presence::MoreLeft { count: 3, here },
            Presence::MoreRenamed { count: 3 },
        ] {
            assert_eq!(heard(presence(sum), true), "");
        }
    }

    #[test]
    fn a_long_line_is_several_of_512_bytes_each_with_its_time() {
        let (ann, words) = (Name::parse("ann").unwrap(), "罗永浩 ".repeat(400));
        let lines = heard(
            Event::Did {
                name: &ann,
                words: &words,
            },
            true,
        );
        assert!(lines.lines().count() > 8);
        for line in lines.split_inclusive("\r\n") {
            let line = line
                .strip_prefix("@time=2026-11-27T14:05:45.000Z ")
                .unwrap();
            assert!(
                line.len() <= 512 && line.ends_with("\x01\r\n"),
                "{}",
                line.len()
            );
        }
    }
}
