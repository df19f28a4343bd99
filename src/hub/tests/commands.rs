//! Every command that is not in the first protocol, with its exact words, in line mode and with the editor.

mod private;
mod views;

use std::time::Duration;

use crate::dialect::Dialect;
use crate::hub::{Limits, SessionId};

use super::world::{limits, shown, World};

const EDITS: &[u8] = b"\xff\xfd\x01\xff\xfd\x03";

/// The same scene, played by people with nc and by people with telnets that edit: what is said is the same.
fn in_both_modes(scene: fn(&mut Scene)) {
    for edits in [false, true] {
        scene(&mut Scene::new(edits));
    }
}

struct Scene {
    world: World,
    edits: bool,
}

impl Scene {
    fn new(edits: bool) -> Self {
        Self {
            world: World::new(limits()),
            edits,
        }
    }

    fn connect(&mut self) -> SessionId {
        let id = self.world.connect();
        if self.edits {
            self.world.enter(id, "/edit");
            self.world.send(id, EDITS);
        }
        id
    }

    fn join<const N: usize>(&mut self, names: [&str; N]) -> [SessionId; N] {
        let people = names.map(|name| {
            let id = self.connect();
            self.types(id, &format!("/name {name}"));
            id
        });
        self.forget();
        people
    }

    /// Nobody has anything unread.
    fn forget(&mut self) {
        for id in self.world.hub.ids().collect::<Vec<_>>() {
            self.world.read(id);
        }
    }

    fn types(&mut self, id: SessionId, line: &str) {
        let end = if self.edits { "\r\0" } else { "\n" };
        self.world.send(id, format!("{line}{end}"));
    }

    /// What this person hears; in line mode not a byte more.
    #[track_caller]
    fn hears(&mut self, id: SessionId, lines: &[&str]) {
        let read = self.world.read(id);
        let read = if self.edits {
            without_frames(&read)
        } else {
            read
        };
        let expected = lines.join("\r\n") + if lines.is_empty() { "" } else { "\r\n" };
        assert_eq!(shown(&read), shown(expected.as_bytes()));
    }

    /// What this person says, and what they are told.
    #[track_caller]
    fn asks(&mut self, id: SessionId, line: &str, answers: &[&str]) {
        self.world.read(id);
        self.types(id, line);
        self.hears(id, answers);
    }
}

/// Takes what the editor draws out of what was sent.
fn without_frames(bytes: &[u8]) -> Vec<u8> {
    let text = String::from_utf8(bytes.to_vec()).expect("only whole characters are sent");
    let mut kept = String::new();
    // A frame is `CR ESC [ J`, whole lines, and the row: `CR > ... ESC [ K`.
    for piece in text.split("\r\x1b[J") {
        let lines = piece.rfind("\r\n").map_or("", |end| &piece[..end + 2]);
        kept.push_str(lines);
    }
    kept.into_bytes()
}

#[test]
fn edit_is_told_on_and_off() {
    let mut world = World::new(limits());
    let ann = world.connect();
    world.turn();
    assert_eq!(world.ask(ann, "/edit off"), ["-- editing off"]);
    assert_eq!(world.ask(ann, "/edit maybe"), ["!! usage: /edit [on|off]"]);
    assert_eq!(
        world.ask(ann, "/help edit"),
        ["-- /edit [on|off]   keep your half-typed line whole, with telnet or PuTTY"]
    );
    world.enter(ann, "/Edit ON");
    world.send(ann, EDITS);
    world.read(ann);
    world.send(ann, "/edit on\r\0");
    assert_eq!(
        shown(&without_frames(&world.read(ann))),
        r"-- editing on\r\n"
    );
    world.send(ann, "/ed OFF\r\0");
    assert!(world
        .read(ann)
        .ends_with(b"\xff\xfc\x01\xff\xfc\x03-- editing off\r\n"));
}

#[test]
fn what_is_half_typed_at_the_end_is_a_line_but_not_in_the_editor() {
    for edits in [false, true] {
        let mut scene = Scene::new(edits);
        let [ann, bob] = scene.join(["ann", "bob"]);
        scene.world.send(ann, "half");
        scene.world.hub.handle_eof(ann, scene.world.now);
        scene.world.turn();
        let said: &[&str] = if edits { &[] } else { &["<ann> half"] };
        scene.hears(bob, &[said, &["-- ann left (1 here)"]].concat());
    }
}

#[test]
fn help_lists_every_command() {
    in_both_modes(|scene| {
        let [ann] = scene.join(["ann"]);
        scene.types(ann, "/help");
        let read = scene.world.read(ann);
        let help = String::from_utf8_lossy(&read).into_owned();
        for command in [
            "/name NAME [KEY]",
            "/keep",
            "/unkeep",
            "/who [ROOM]",
            "/join ROOM [KEY]",
            "/leave",
            "/rooms",
            "/me TEXT",
            "/msg NAME TEXT",
            "/help [COMMAND]",
            "/quit [TEXT]",
            "/reply TEXT",
            "/whois NAME",
            "/away [TEXT]",
            "/back",
            "/ignore [NAME]",
            "/unignore NAME",
            "/quiet on|off",
            "/time on [+HH:MM]|off",
            "/bell on|off",
            "/history [N]",
            "/edit [on|off]",
        ] {
            assert!(
                help.contains(&format!("-- {command}   ")),
                "{command} in {help}"
            );
        }
    });
}

#[test]
fn what_is_unambiguous_is_enough() {
    let mut world = World::new(limits());
    let [ann, bob] = world.people(["ann", "bob"]);
    world.enter(bob, "/msg ann hello");
    for (line, answer) in [
        ("/rep hello", "[to bob] hello"),
        ("/whoi bob", "-- bob: here 0 s, silent 0 s, telnet"),
        ("/a", "-- you are away"),
        ("/BA", "-- you are back"),
        ("/i bob", "-- ignoring bob"),
        ("/uni bob", "-- no longer ignoring bob"),
        ("/quie on", "-- quiet on: no joins, leaves and renames"),
        ("/be on", "-- bell on"),
        ("/ti on", "-- times on, +00:00"),
        ("/ti off", "-- times off"),
        ("/hi", "-- earlier:"),
        ("/ed off", "-- editing off"),
    ] {
        let answers = world.ask(ann, line);
        assert_eq!(
            answers
                .first()
                .map(|line| line.trim_start_matches("14:05 ")),
            Some(answer),
            "{line}"
        );
    }
    for (line, refusal) in [
        ("/wh", "/wh could be /whisper, /who or /whois"),
        ("/b", "/b could be /back, /bell or /bye"),
        ("/u", "/u could be /unignore, /unkeep or /users"),
        ("/qui", "/qui could be /quiet or /quit"),
        (
            "/zz",
            "no such command: /zz; /help lists them, // says a slash",
        ),
    ] {
        assert_eq!(world.ask(ann, line), [format!("!! {refusal}")], "{line}");
    }
}

#[test]
fn tab_completes_commands_and_who_spoke_last_comes_first() {
    let mut world = World::new(limits());
    let [andrea, ann, bob, me] = world.people(["andrea", "ann", "bob", "me"]);
    world.enter(me, "/edit");
    world.send(me, EDITS);
    let typed = |world: &mut World, keys: &str| {
        world.send(me, "\x15");
        world.read(me);
        world.send(me, keys);
        let mut screen = vt100::Parser::default();
        screen.process(&world.read(me));
        screen
            .screen()
            .contents()
            .trim_start_matches("> ")
            .to_owned()
    };
    world.enter(andrea, "first");
    world.enter(ann, "second");
    world.enter(bob, "third");
    assert_eq!(typed(&mut world, "hi a\t"), "hi ann ");
    assert_eq!(typed(&mut world, "hi a\t\t"), "hi andrea ");
    assert_eq!(typed(&mut world, "AND\t"), "andrea ");
    world.enter(andrea, "fourth");
    assert_eq!(typed(&mut world, "hi a\t"), "hi andrea ");
    assert_eq!(typed(&mut world, "/unig\t"), "/unignore ");
    assert_eq!(typed(&mut world, "/wh\t"), "/who ");
    assert_eq!(typed(&mut world, "/wh\t\tb\t"), "/whois bob ");
    assert_eq!(typed(&mut world, "nobody\t"), "nobody ");
    // One's own name is not offered.
    assert_eq!(typed(&mut world, "m\t"), "m ");
}
