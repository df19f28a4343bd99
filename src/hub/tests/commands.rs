//! Every command that is not in the first protocol, with its exact words, in line mode and with the editor.

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
fn reply_goes_to_who_wrote_last() {
    in_both_modes(|scene| {
        let [ann, bob, eve] = scene.join(["ann", "bob", "eve"]);
        scene.asks(ann, "/reply hello", &["!! nobody has written to you"]);
        scene.asks(bob, "/msg ann psst", &["[to ann] psst"]);
        scene.hears(ann, &["[bob] psst"]);
        scene.asks(ann, "/r yes?", &["[to bob] yes?"]);
        scene.hears(bob, &["[ann] yes?"]);
        scene.asks(eve, "/MSG ann and me", &["[to ann] and me"]);
        scene.asks(ann, "/REP  you, too", &["[to eve] you, too"]);
        scene.asks(ann, "/reply", &["!! you have no text to send"]);
        // The name does not matter; being there does.
        scene.types(eve, "/name eva");
        scene.asks(ann, "/r still you", &["[to eva] still you"]);
        scene.types(eve, "/quit");
        scene.asks(ann, "/r gone", &["!! eva has left"]);
        // Somebody else with that name is somebody else.
        scene.join(["eva"]);
        scene.asks(ann, "/r gone", &["!! eva has left"]);
    });
}

#[test]
fn whois_tells_times_and_never_an_address() {
    in_both_modes(|scene| {
        let [ann, bob] = scene.join(["ann", "bob"]);
        let program = scene.world.connect_to(Dialect::Wire);
        scene.world.send(program, "NAME Ym90\n");
        scene.forget();
        scene.asks(ann, "/whois bob", &["-- bob: here 0 s, silent 0 s, telnet"]);
        scene.world.pass(Duration::from_secs(59));
        scene.asks(
            ann,
            "/whois BOB",
            &["-- bob: here 59 s, silent 59 s, telnet"],
        );
        scene.world.pass(Duration::from_secs(31));
        scene.types(bob, "hello");
        scene.world.pass(Duration::from_secs(30));
        scene.asks(
            ann,
            "/whois bob",
            &["-- bob: here 2 min, silent 30 s, telnet"],
        );
        scene.asks(
            ann,
            "/whois bot",
            &["-- bot: here 2 min, silent 2 min, wire"],
        );
        scene.asks(
            ann,
            "/whoi ann",
            &["-- ann: here 2 min, silent 0 s, telnet"],
        );
        scene.world.pass(Duration::from_secs(3600 * 5));
        scene.asks(ann, "/whois bob", &["-- bob: here 5 h, silent 5 h, telnet"]);
        scene.world.pass(Duration::from_secs(86_400 * 3));
        scene.asks(ann, "/whois bob", &["-- bob: here 3 d, silent 3 d, telnet"]);
        scene.asks(ann, "/whois eve", &["!! nobody here is called eve"]);
        scene.asks(ann, "/whois", &["!! usage: /whois NAME"]);
        scene.asks(ann, "/whois bob eve", &["!! usage: /whois NAME"]);
        scene.asks(
            ann,
            "/wh bob",
            &["!! /wh could be /whisper, /who or /whois"],
        );
    });
}

#[test]
fn who_is_away_is_marked_and_says_why() {
    in_both_modes(|scene| {
        let [ann, bob] = scene.join(["ann", "bob"]);
        scene.asks(ann, "/away having tea", &["-- you are away"]);
        scene.hears(bob, &[]);
        scene.asks(bob, "/who", &["-- 2 here: ann (away), bob"]);
        let told = ["[to ann] hello", "-- ann is away: having tea"];
        scene.asks(bob, "/msg ann hello", &told);
        scene.hears(ann, &["[bob] hello"]);
        // To speak is not to be back.
        scene.types(ann, "one moment");
        scene.asks(bob, "/who", &["-- 2 here: ann (away), bob"]);
        scene.asks(ann, "/r yes", &["[to bob] yes"]);
        scene.asks(
            bob,
            "/r so?",
            &["[to ann] so?", "-- ann is away: having tea"],
        );
        scene.asks(ann, "/Back", &["-- you are back"]);
        scene.asks(bob, "/msg ann hello", &["[to ann] hello"]);
        scene.asks(ann, "/away", &["-- you are away"]);
        scene.asks(bob, "/msg ann hello", &["[to ann] hello", "-- ann is away"]);
        scene.asks(ann, "/back", &["-- you are back"]);
        scene.asks(ann, "/who", &["-- 2 here: ann, bob"]);
        // A newcomer sees it, too.
        scene.types(ann, "/away");
        let greeted = scene.world.connect();
        scene.world.turn();
        assert_eq!(
            scene.world.lines(greeted)[1],
            "-- 2 here: ann (away), bob; 1 listening"
        );
    });
}

#[test]
fn who_is_ignored_is_not_heard_whatever_the_name_becomes() {
    in_both_modes(|scene| {
        let [ann, bob, eve] = scene.join(["ann", "bob", "eve"]);
        scene.asks(ann, "/ignore", &["-- ignoring nobody"]);
        scene.asks(ann, "/ignore Bob", &["-- ignoring bob"]);
        scene.asks(ann, "/ign eve", &["-- ignoring eve"]);
        scene.asks(ann, "/ignore", &["-- ignoring: bob, eve"]);
        scene.asks(ann, "/unignore eve", &["-- no longer ignoring eve"]);
        for line in [
            "hello",
            "/me waves",
            "/msg ann psst",
            "/name robert",
            "again",
        ] {
            scene.types(bob, line);
            scene.types(eve, "seen");
        }
        scene.hears(ann, &["<eve> seen"; 5]);
        scene.asks(ann, "/r hm", &["!! nobody has written to you"]);
        scene.asks(ann, "/ignore", &["-- ignoring: robert"]);
        // Whoever is ignored goes on to hear who ignores them.
        scene.types(ann, "I hear nothing");
        scene.world.read(bob);
        scene.types(ann, "really");
        scene.hears(bob, &["<ann> really"]);
        // With a leave that ends: the leave is not told, and whoever takes the name is heard.
        scene.world.read(ann);
        scene.types(bob, "/quit see you");
        scene.hears(ann, &[]);
        scene.asks(ann, "/ignore", &["-- ignoring nobody"]);
        let [robert] = scene.join(["robert"]);
        scene.types(robert, "I am new");
        scene.hears(ann, &["<robert> I am new"]);
        scene.asks(ann, "/ignore ann", &["!! that is you"]);
        scene.asks(ann, "/ignore nobody", &["!! nobody here is called nobody"]);
        scene.asks(
            ann,
            "/unignore nobody",
            &["!! nobody here is called nobody"],
        );
        scene.asks(ann, "/unignore", &["!! usage: /unignore NAME"]);
        scene.asks(ann, "/ignore a b", &["!! usage: /ignore [NAME]"]);
    });
}

#[test]
fn an_ignored_program_and_an_ignored_guest_are_not_heard_either() {
    in_both_modes(|scene| {
        let [ann] = scene.join(["ann"]);
        let program = scene.world.connect_to(Dialect::Wire);
        let guest = scene.connect();
        scene.world.send(program, "NAME Ym90\n");
        scene.types(ann, "/ignore bot");
        scene.types(ann, "/ignore guest3");
        scene.forget();
        scene.world.send(program, "CHAT Ym90 aGVsbG8=\n");
        scene.types(guest, "hello");
        scene.types(guest, "/name gus");
        scene.types(guest, "hello");
        scene.hears(ann, &[]);
    });
}

#[test]
fn what_somebody_ignored_said_before_is_not_shown_either() {
    let mut world = World::new(Limits {
        history_lines: 20,
        ..limits()
    });
    let [ann, bob, eve] = world.people(["ann", "bob", "eve"]);
    world.enter(bob, "one");
    world.enter(eve, "two");
    world.enter(bob, "three");
    assert_eq!(world.ask(ann, "/ignore bob"), ["-- ignoring bob"]);
    let seen = ["-- earlier:", "14:05 <eve> two", "-- now"];
    assert_eq!(world.ask(ann, "/history"), seen);
    assert_eq!(world.ask(ann, "/history 1"), seen);
}

#[test]
fn quiet_hides_who_comes_and_goes() {
    in_both_modes(|scene| {
        let [ann, bob] = scene.join(["ann", "bob"]);
        scene.asks(
            ann,
            "/quiet on",
            &["-- quiet on: no joins, leaves and renames"],
        );
        let carl = scene.connect();
        scene.types(carl, "/name carl");
        scene.types(bob, "/name robert");
        scene.types(bob, "hello");
        scene.types(carl, "/quit");
        scene.hears(ann, &["<robert> hello"]);
        scene.hears(
            bob,
            &["-- carl joined (3 here)", "-- you are robert"]
                .into_iter()
                .chain(scene.edits.then_some("<robert> hello"))
                .chain(["-- carl left (2 here)"])
                .collect::<Vec<_>>(),
        );
        // Sums are presence, too.
        let crowd: Vec<_> = (0..30)
            .map(|n| {
                let id = scene.connect();
                scene.types(id, &format!("/name p{n}"));
                id
            })
            .collect();
        scene.world.pass(Duration::from_secs(2));
        scene.hears(ann, &[]);
        assert_eq!(crowd.len(), 30);
        scene.asks(ann, "/QUIET OFF", &["-- quiet off"]);
        scene.types(bob, "/name bob");
        scene.hears(ann, &["-- robert is now known as bob"]);
        for wrong in ["/quiet", "/quiet maybe"] {
            scene.asks(ann, wrong, &["!! usage: /quiet on|off"]);
        }
    });
}

#[test]
fn times_stand_before_every_line() {
    in_both_modes(|scene| {
        let [ann, bob] = scene.join(["ann", "bob"]);
        scene.asks(ann, "/time on", &["14:05 -- times on, +00:00"]);
        scene.types(bob, "hello");
        scene.types(bob, "/me waves");
        scene.types(bob, "/msg ann psst");
        scene.hears(
            ann,
            &["14:05 <bob> hello", "14:05 * bob waves", "14:05 [bob] psst"],
        );
        scene.world.pass(Duration::from_secs(30));
        scene.asks(ann, "/who", &["14:06 -- 2 here: ann, bob"]);
        scene.asks(
            ann,
            "/nosuch",
            &["14:06 !! no such command: /nosuch; /help lists them, // says a slash"],
        );
        scene.asks(ann, "/time on +08:00", &["22:06 -- times on, +08:00"]);
        scene.asks(ann, "/time ON -14:06", &["00:00 -- times on, -14:06"]);
        scene.asks(ann, "/time on +09:54", &["00:00 -- times on, +09:54"]);
        scene.types(bob, "/quit");
        scene.hears(ann, &["00:00 -- bob left (1 here)"]);
        scene.asks(ann, "/time off", &["-- times off"]);
        for wrong in [
            "/time",
            "/time on 8",
            "/time on +25:00",
            "/time off +08:00",
            "/time +08:00",
        ] {
            scene.asks(ann, wrong, &["!! usage: /time on [+HH:MM]|off"]);
        }
    });
}

#[test]
fn the_bell_rings_for_a_name_and_for_a_private_word() {
    in_both_modes(|scene| {
        let [ann, bob] = scene.join(["ann", "bob"]);
        scene.asks(ann, "/bell on", &["-- bell on"]);
        let rings = |scene: &mut Scene, by: &str, line: &str, heard: &str| {
            let who = if by == "bob" { bob } else { ann };
            scene.types(who, line);
            scene.hears(ann, &[heard]);
        };
        rings(scene, "bob", "hello everybody", "<bob> hello everybody");
        rings(scene, "bob", "hello Ann!", "<bob> hello Ann!\x07");
        rings(
            scene,
            "bob",
            "the annual meeting",
            "<bob> the annual meeting",
        );
        rings(scene, "bob", "/me nudges ann", "* bob nudges ann\x07");
        rings(scene, "bob", "/msg ann psst", "[bob] psst\x07");
        // Not with one's own lines.
        scene.asks(ann, "/msg bob for ann", &["[to bob] for ann"]);
        let own: &[&str] = if scene.edits {
            &["<ann> I am ann"]
        } else {
            &[]
        };
        scene.asks(ann, "I am ann", own);
        // And not because somebody's name has one's own in it.
        scene.types(bob, "/name ann-b");
        scene.hears(ann, &["-- bob is now known as ann-b"]);
        rings(scene, "bob", "/me waves", "* ann-b waves");
        rings(scene, "bob", "hello", "<ann-b> hello");
        scene.types(ann, "/time on");
        scene.world.read(ann);
        rings(scene, "bob", "ann: look", "14:05 <ann-b> ann: look\x07");
        scene.asks(ann, "/bell OFF", &["14:05 -- bell off"]);
        rings(scene, "bob", "ann: look", "14:05 <ann-b> ann: look");
        for wrong in ["/bell", "/bell once"] {
            scene.asks(ann, wrong, &["14:05 !! usage: /bell on|off"]);
        }
    });
}

#[test]
fn nobody_hears_of_what_somebody_else_set() {
    in_both_modes(|scene| {
        let [ann, bob] = scene.join(["ann", "bob"]);
        for line in [
            "/time on",
            "/bell on",
            "/quiet on",
            "/ignore bob",
            "/away tea",
            "/history",
            "/whois bob",
        ] {
            scene.types(ann, line);
        }
        scene.hears(bob, &[]);
        scene.types(ann, "bob, hello");
        let own: &[&str] = if scene.edits { &["<bob> hm"] } else { &[] };
        scene.asks(bob, "hm", own);
    });
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
            "/name NAME",
            "/who",
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
        ("/un bob", "-- no longer ignoring bob"),
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
        ("/u", "/u could be /unignore or /users"),
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
