//! What people set for themselves: whom they ignore, and how they see what is said.

use super::*;

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
        // Bob, who is ignored, goes on to hear Ann, who ignores him.
        scene.types(ann, "I hear nothing");
        scene.world.read(bob);
        scene.types(ann, "really");
        scene.hears(bob, &["<ann> really"]);
        // Ignoring ends when Bob leaves: the leave is not told, and the next who takes his name is heard.
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
        scene.asks(ann, "/time ON -14:00", &["00:06 -- times on, -14:00"]);
        scene.asks(ann, "/time on +09:54", &["00:00 -- times on, +09:54"]);
        scene.types(bob, "/quit");
        scene.hears(ann, &["00:00 -- bob left (1 here)"]);
        scene.asks(ann, "/time off", &["-- times off"]);
        for wrong in [
            "/time",
            "/time on 8",
            "/time on +25:00",
            "/time on +14:01",
            "/time on -14:06",
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
