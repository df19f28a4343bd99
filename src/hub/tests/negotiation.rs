//! Every kind of client, asked in every order, with the answers under way for a while: both sides come to agree, soon,
//! and what the person asked for last is what they have.

use proptest::prelude::*;

use super::clients::{Kind, DO, DONT, ECHO, IAC, KINDS, SGA};
use super::seat::Seat;
use super::world::{limits, World};

/// A server and one client.
struct Link {
    world: World,
    seat: Seat,
}

impl Link {
    fn new(kind: Kind, delay: usize) -> Self {
        let mut world = World::new(limits());
        let seat = Seat::new(&mut world, kind, delay);
        Self { world, seat }
    }

    fn step(&mut self, typed: &[u8]) {
        self.seat.client.answers.extend_from_slice(typed);
        self.seat.step(&mut self.world);
    }

    fn settles(&mut self) -> bool {
        self.seat.settles(&mut self.world)
    }

    fn is_editing(&mut self) -> bool {
        self.seat.is_editing(&mut self.world)
    }

    fn sends_keys(&self) -> bool {
        self.seat.client.sends_keys()
    }
}

fn type_line(link: &mut Link, words: &str) {
    link.step(format!("{words}\r\n").as_bytes());
}

#[test]
fn who_agrees_edits_and_who_does_not_is_told() {
    for kind in KINDS {
        for delay in [0, 1, 5] {
            let mut link = Link::new(kind, delay);
            type_line(&mut link, "/edit");
            assert!(link.settles(), "{kind:?}");
            if kind == Kind::Echoing {
                continue;
            }
            let agrees = matches!(kind, Kind::Usual | Kind::Busybox | Kind::Tintin);
            assert_eq!(link.sends_keys(), agrees, "{kind:?}");
            if kind == Kind::Silent {
                type_line(&mut link, "hello");
                assert!(link.settles());
            }
            let text = link.seat.take_text();
            let refused = "!! your client does not speak telnet; staying in line mode\r\n";
            let told = if agrees { "-- editing on\r\n" } else { refused };
            assert!(text.contains(told), "{kind:?}: {text:?}");
            assert_eq!(link.is_editing(), agrees, "{kind:?}");
            type_line(&mut link, "/edit off");
            assert!(link.settles(), "{kind:?}");
            assert!(!link.sends_keys() && !link.is_editing(), "{kind:?}");
        }
    }
}

#[test]
fn editing_comes_again_where_the_client_lets_it() {
    for kind in [Kind::Usual, Kind::Tintin, Kind::Busybox] {
        let mut link = Link::new(kind, 2);
        for round in 0..5 {
            let agrees = round == 0 || kind != Kind::Busybox;
            type_line(&mut link, "/edit on");
            assert!(link.settles(), "{kind:?}");
            assert_eq!(link.sends_keys(), agrees, "{kind:?} {round}");
            assert_eq!(link.is_editing(), agrees, "{kind:?} {round}");
            type_line(&mut link, "/edit off");
            assert!(link.settles(), "{kind:?}");
            assert!(!link.sends_keys() && !link.is_editing(), "{kind:?}");
        }
    }
}

#[test]
fn who_changes_their_mind_before_the_answer_is_there_gets_what_they_said_last() {
    for kind in [Kind::Usual, Kind::Tintin] {
        for delay in [0, 1, 3] {
            for lines in [
                &["/edit", "/edit off"][..],
                &["/edit", "/edit"],
                &["/edit", "/edit off", "/edit"],
                &["/edit off", "/edit", "/edit off", "/edit", "/edit off"],
                &["/edit", "hello"],
            ] {
                for at_once in [true, false] {
                    let mut link = Link::new(kind, delay);
                    if at_once {
                        let packet = lines.join("\r\n") + "\r\n";
                        link.step(packet.as_bytes());
                    } else {
                        for line in lines {
                            type_line(&mut link, line);
                        }
                    }
                    let what = format!("{kind:?} {delay} {lines:?} {at_once}");
                    assert!(link.settles(), "{what}");
                    let wanted = lines.last() != Some(&"/edit off");
                    assert_eq!(link.sends_keys(), wanted, "{what}");
                    assert_eq!(link.is_editing(), wanted, "{what}");
                }
            }
        }
    }
}

#[test]
fn the_menu_of_the_client_switches_on_and_off() {
    for delay in [0, 3] {
        let mut link = Link::new(Kind::Usual, delay);
        for _ in 0..3 {
            for option in [SGA, ECHO] {
                link.seat.client.request(DO, option);
            }
            assert!(link.settles());
            assert!(link.sends_keys() && link.is_editing());
            for option in [SGA, ECHO] {
                link.seat.client.request(DONT, option);
            }
            assert!(link.settles());
            assert!(!link.sends_keys() && !link.is_editing());
        }
    }
}

#[test]
fn toggling_without_end_is_answered_to_a_bound_and_harms_nobody() {
    let mut link = Link::new(Kind::Silent, 0);
    for _ in 0..200 {
        link.step(&[IAC, DO, SGA]);
    }
    // The answer, and the offer that goes with the first one.
    assert_eq!(link.seat.client.negotiations, 2);
    for _ in 0..10_000 {
        link.step(&[IAC, DO, ECHO, IAC, DONT, ECHO, IAC, DO, SGA, IAC, DONT, SGA]);
        link.step(&[
            IAC,
            super::clients::WILL,
            SGA,
            IAC,
            super::clients::WONT,
            SGA,
        ]);
    }
    assert!(
        link.seat.client.negotiations < 700,
        "{}",
        link.seat.client.negotiations
    );
    assert!(!link.is_editing());
    // A client whose negotiation was ended can still have the editor by asking.
    type_line(&mut link, "/edit");
    link.step(&[IAC, DO, ECHO, IAC, DO, SGA]);
    assert!(link.is_editing());
    link.step(&[IAC, DONT, ECHO]);
    assert!(!link.is_editing());
}

#[derive(Debug, Clone, Copy)]
enum Wish {
    Line(&'static str),
    Menu(u8, u8),
    Wait,
}

fn wishes() -> impl Strategy<Value = Wish> {
    prop_oneof![
        3 => Just(Wish::Line("/edit\r\n")),
        3 => Just(Wish::Line("/edit off\r\n")),
        1 => Just(Wish::Line("hello\r\n")),
        3 => Just(Wish::Wait),
        2 => (prop_oneof![Just(DO), Just(DONT)], prop_oneof![Just(ECHO), Just(SGA)])
            .prop_map(|(verb, option)| Wish::Menu(verb, option)),
    ]
}

proptest! {
    #[test]
    fn all_come_to_rest_and_the_usual_ones_agree_with_the_server(
        kind in prop::sample::select(&KINDS[..]),
        delay in 0_usize..4,
        wishes in prop::collection::vec(wishes(), 0..12),
    ) {
        let mut link = Link::new(kind, delay);
        for wish in wishes {
            match wish {
                Wish::Line(line) => link.step(line.as_bytes()),
                Wish::Menu(verb, option) if kind == Kind::Usual => link.seat.client.request(verb, option),
                Wish::Menu(..) | Wish::Wait => link.step(b""),
            }
        }
        prop_assert!(link.settles());
        if matches!(kind, Kind::Usual | Kind::Tintin | Kind::Tf5 | Kind::Refusing | Kind::Silent) {
            let sends_keys = link.sends_keys();
            prop_assert_eq!(link.is_editing(), sends_keys);
        }
    }
}
