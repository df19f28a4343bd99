//! Private lines, and what one person is told of another.

use super::*;

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
