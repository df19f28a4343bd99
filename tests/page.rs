//! The page in a real browser, where `chromium` and its driver are installed.

mod support;

use std::fs;
use std::path::Path;
use std::process::Command;

use libtest_mimic::{Arguments, Trial};
use rustix::process::Signal;
use serde_json::json;
use support::person::Person;
use support::programs::is_installed;
use support::server::{chatd, Server};
use support::webdriver::{Window, ENTER};

/// The words of what stands in the log of the page, of all that was said.
const SAID: &str = "return items.filter(item => item.k === 'said').map(item => item.x)";

fn main() {
    let arguments = Arguments::from_args();
    let is_missing = !is_installed("chromedriver") || !is_installed("chromium");
    let trials = [
        ("people talk, and nothing they say is markup", talk as fn()),
        ("the page comes back to a server that was killed", come_back),
        ("a talk goes on when the server was killed", talk_goes_on),
        ("a flood is shown in its order", flood),
        (
            "what is composed or has rows is sent when it is meant",
            field,
        ),
        ("it fits a small telephone", telephone),
        ("lists tell what is true, and keep the focus", lists),
    ];
    let reachable = Trial::test("axe finds nothing that keeps anybody out", || {
        reachable();
        Ok(())
    });
    let reachable = reachable.with_ignored_flag(is_missing || axe().is_none());
    let trials = trials.map(|(name, test)| {
        let run = move || {
            test();
            Ok(())
        };
        Trial::test(name, run).with_ignored_flag(is_missing)
    });
    let trials = trials.into_iter().chain([reachable]).collect();
    libtest_mimic::run(&arguments, trials).exit();
}

fn server(listen: &[&str], settings: &[&str]) -> Server {
    let mut command = chatd();
    for place in listen {
        command.args(["-l", place]);
    }
    for setting in settings {
        command.args(["-o", setting]);
    }
    let server = Server::spawn(&mut command);
    server.output.wait_for("listening http://");
    server
}

const ANY: [&str; 2] = ["127.0.0.1:0", "http://127.0.0.1:0"];

/// A window with the page, whose person is called Ann.
fn ann(server: &Server) -> Window {
    let window = Window::open();
    come_as("ann", &window, server);
    window
}

fn come_as(name: &str, window: &Window, server: &Server) {
    window.go(server.address("http"));
    window.wait_for("return state", &json!("here"));
    let question =
        "return document.getElementById('hint').textContent.startsWith('What shall we call you?')";
    window.wait_for(question, &json!(true));
    window.press(&format!("{name}{ENTER}"));
    window.wait_for("return you", &json!(name));
}

fn talk() {
    let server = server(&ANY, &[]);
    let mut bob = server.join("bob");
    let window = ann(&server);
    bob.expect("-- ann joined (2 here)");
    window.press(&format!("hello 老罗{ENTER}"));
    bob.expect("<ann> hello 老罗");
    window.press(&format!("/me waves{ENTER}"));
    bob.expect("* ann waves");
    window.wait_for("return pending.length", &json!(0));
    bob.say(
        "<img src=x onerror=document.title=1> javascript:alert(1) see https://example.org/a?b=1.",
    );
    window.wait_for("return log.querySelectorAll('a').length", &json!(1));
    let link = "const link = log.querySelector('a'); return [link.href, link.rel, link.target, link.textContent]";
    let address = "https://example.org/a?b=1";
    let rel = "noopener noreferrer nofollow";
    assert_eq!(window.run(link), json!([address, rel, "_blank", address]));
    assert_eq!(
        window.run("return log.querySelectorAll('img').length"),
        json!(0)
    );
    bob.say("/msg ann psst");
    window.wait_for("return log.querySelectorAll('.private').length", &json!(1));
    bob.say("Ann, are you there?");
    window.wait_for("return log.querySelectorAll('.mention').length", &json!(1));
    window.wait_for(
        "return document.getElementById('count').textContent",
        &json!("2"),
    );
    // Who leaves is told so in words, and may come back.
    window.press(&format!("/quit{ENTER}"));
    bob.skip_until("-- ann left (1 here)");
    let told = "return [document.getElementById('state').textContent, document.getElementById('again').hidden]";
    window.wait_for(told, &json!(["You have left.", false]));
    assert_eq!(window.complaints(), [""; 0]);
}

fn come_back() {
    let transcript = Path::new(env!("CARGO_TARGET_TMPDIR")).join("page-transcript");
    // It may be there from an earlier run.
    let _ = fs::remove_file(&transcript);
    let setting = format!("transcript-file={}", transcript.display());
    let mut first = server(&ANY, &[&setting]);
    let window = ann(&first);
    let mut bob = first.join("bob");
    bob.say("one");
    window.press(&format!("two{ENTER}"));
    bob.expect("<ann> two");
    window.wait_for(SAID, &json!(["one", "two"]));
    let [telnet, http] = [first.telnet(), first.address("http")];
    // What the server never reads is lost.
    first.signal(Signal::STOP);
    window.press(&format!("lost{ENTER}"));
    first.signal(Signal::KILL);
    first.wait();
    window.wait_for(
        "return document.getElementById('bar').hidden",
        &json!(false),
    );
    window.press("typed meanwhile");
    let places = [telnet.to_string(), format!("http://{http}")];
    let second = server(&[&places[0], &places[1]], &[&setting]);
    window.wait_for("return state", &json!("here"));
    window.wait_for("return you", &json!("ann"));
    assert_eq!(window.run("return text.value"), json!("typed meanwhile"));
    let unsent = "return pending.map(line => [line.x, line.isLost])";
    window.wait_for(unsent, &json!([["lost", true]]));
    let mut bob = second.join("bob");
    bob.say("three");
    window.wait_for(SAID, &json!(["one", "two", "three"]));
    window.press(ENTER);
    bob.skip_until("<ann> typed meanwhile");
    window.wait_for(unsent, &json!([["lost", true]]));
    window.run("write('x'.repeat(5000))");
    window.press(ENTER);
    let refused = "return pending.map(line => [line.x.length, line.isLost])";
    window.wait_for(refused, &json!([[4, true], [5000, true]]));
    assert_eq!(
        window.run("return document.getElementById('bar').hidden"),
        json!(true)
    );
}

/// A browser, one of a telephone, and two people without one.
fn talk_goes_on() {
    let transcript = Path::new(env!("CARGO_TARGET_TMPDIR")).join("page-talk-transcript");
    let _ = fs::remove_file(&transcript);
    let setting = format!("transcript-file={}", transcript.display());
    let mut first = server(&ANY, &[&setting]);
    let (window, phone) = (ann(&first), Window::open());
    phone.resize(360, 640);
    come_as("phil", &phone, &first);
    let (mut bob, mut carl) = (first.join("bob"), first.join("carl"));
    let mut said = Vec::new();
    let mut say_all = |bob: &mut Person, carl: &mut Person| {
        for round in 0..4 {
            let words = format!("line {}", said.len());
            match round {
                0 => window.press(&format!("{words}{ENTER}")),
                1 => phone.press(&format!("{words}{ENTER}")),
                2 => bob.say(&words),
                _ => carl.say(&words),
            }
            let author = ["ann", "phil", "bob", "carl"][round];
            for (name, person) in [("bob", &mut *bob), ("carl", &mut *carl)] {
                match round {
                    0 => person.skip_until(&format!("<{author}> {words}")),
                    _ if name == author => {}
                    _ => person.expect(&format!("<{author}> {words}")),
                }
            }
            said.push(words);
            for window in [&window, &phone] {
                window.wait_for(SAID, &json!(said));
            }
        }
    };
    say_all(&mut bob, &mut carl);
    let [telnet, http] = [first.telnet(), first.address("http")];
    first.signal(Signal::KILL);
    first.wait();
    let places = [telnet.to_string(), format!("http://{http}")];
    let second = server(&[&places[0], &places[1]], &[&setting]);
    for (window, name) in [(&window, "ann"), (&phone, "phil")] {
        window.wait_for("return state", &json!("here"));
        window.wait_for("return you", &json!(name));
    }
    let (mut bob, mut carl) = (second.join("bob"), second.join("carl"));
    say_all(&mut bob, &mut carl);
    let wide = "return document.documentElement.scrollWidth";
    assert_eq!(phone.run(wide), json!(360));
}

fn flood() {
    let server = server(&ANY, &["lines-per-second=0"]);
    let window = ann(&server);
    let mut bob = server.join("bob");
    let lines: Vec<String> = (0..10_000)
        .map(|n| format!("line {n:05} of a flood\r\n"))
        .collect();
    // After how long what is typed meanwhile is on the screen, and how much the page draws at once.
    window.run(
        "window.longest = window.most = 0; \
        const time = list => { for (const { duration } of list.getEntries()) longest = Math.max(longest, duration) }; \
        new PerformanceObserver(time).observe({ type: 'event', durationThreshold: 16 }); \
        const count = (sum, change) => sum + change.addedNodes.length; \
        const look = changes => window.most = Math.max(window.most, changes.reduce(count, 0)); \
        new MutationObserver(look).observe(log, { childList: true })",
    );
    bob.send(lines.concat().as_bytes());
    window.press("still there");
    window.wait_for("return text.value", &json!("still there"));
    window.wait_for("return items.at(-1).x", &json!("line 09999 of a flood"));
    let kept = window.run(SAID);
    let kept = kept.as_array().unwrap();
    assert!(kept.len() >= 4900, "{} lines are kept", kept.len());
    let first = 10_000 - kept.len();
    for (index, line) in kept.iter().enumerate() {
        assert_eq!(*line, format!("line {:05} of a flood", first + index));
    }
    let longest = window.run("return longest");
    println!("what was typed was on the screen after at most {longest} ms");
    let most = window.run("return window.most").as_u64().unwrap();
    assert!((1..=501).contains(&most), "{most} were drawn at once");
    let nodes = window.run("return log.children.length").as_u64().unwrap();
    assert!(nodes <= 501, "{nodes} in the document");
    // What is being read stays where it is.
    window.run("log.scrollTop = 0");
    window.wait_for("return follows", &json!(false));
    let place = "const box = log.getBoundingClientRect(), node = document.elementFromPoint(box.left + 60, box.top + 150); \
        return [node.textContent, node.getBoundingClientRect().top]";
    window.wait_for("return log.scrollTop > 0 || begun === 0", &json!(true));
    let before = window.run(place);
    bob.say("one more");
    window.wait_for(
        "return document.getElementById('below').textContent",
        &json!("1 new below"),
    );
    assert_eq!(window.run(place), before);
}

fn field() {
    let server = server(&ANY, &[]);
    let window = ann(&server);
    let mut bob = server.join("bob");
    let composing = "write('ni'); for (const how of [{keyCode: 229}, {isComposing: true}]) \
        text.dispatchEvent(new KeyboardEvent('keydown', {key: 'Enter', bubbles: true, cancelable: true, ...how})); \
        return text.value";
    assert_eq!(window.run(composing), json!("ni"));
    window.run("write('1\\n2\\n3\\n4\\n5\\n6')");
    window.press(ENTER);
    let hint = "return document.getElementById('hint').textContent";
    assert_eq!(
        window.run(hint),
        json!("6 lines: Enter again sends them all")
    );
    window.press(ENTER);
    for row in 1..=6 {
        bob.expect(&format!("<ann> {row}"));
    }
    window.press("bo\u{e004}");
    assert_eq!(window.run("return text.value"), json!("bob: "));
    window.press(&format!("hi{ENTER}"));
    bob.expect("<ann> bob: hi");
}

fn telephone() {
    let server = server(&ANY, &[]);
    let window = ann(&server);
    window.resize(320, 640);
    let mut bob = server.join("bob");
    bob.say(&"x".repeat(1000));
    window.wait_for(
        "return items.some(item => item.x?.length === 1000)",
        &json!(true),
    );
    let wide = "return [document.documentElement.scrollWidth, log.scrollWidth <= log.clientWidth]";
    window.wait_for(wide, &json!([320, true]));
    window.run("document.getElementById('people').click()");
    assert_eq!(
        window.run("return document.activeElement.id"),
        json!("shut")
    );
}

fn lists() {
    let server = server(&ANY, &[]);
    let window = ann(&server);
    let mut bob = server.join("bob");
    let focused = "return document.activeElement.dataset.to || ''";
    window.wait_for(
        "document.querySelector('#names [data-to=bob]')?.focus(); return document.activeElement.dataset.to || ''",
        &json!("bob"),
    );
    let _aaron = server.join("aaron");
    window.wait_for(
        "return document.querySelectorAll('#names button').length",
        &json!(3),
    );
    assert_eq!(window.run(focused), json!("bob"));
    bob.say("/join games");
    // Rooms are asked for when somebody turns to the list.
    window.wait_for("return here.has('bob')", &json!(false));
    window.run("document.getElementById('make').focus()");
    window.wait_for(
        "return [...document.querySelectorAll('#rooms button')].map(it => it.textContent)",
        &json!(["lobby 2", "games 1"]),
    );
    // A sentence of ours runs from left to right, with whatever name it begins.
    let _arab = server.join("\u{645}\u{62d}\u{645}\u{62f}");
    let way = "const last = [...log.querySelectorAll('.quiet bdi')].at(-1); \
        return last.textContent.endsWith(' joined') && getComputedStyle(last).direction";
    window.wait_for(way, &json!("ltr"));
}

/// The script of `axe-core`, where npm has installed it for all.
fn axe() -> Option<String> {
    let folder = Command::new("npm").args(["root", "-g"]).output().ok()?;
    let folder = String::from_utf8(folder.stdout).ok()?;
    fs::read_to_string(Path::new(folder.trim()).join("axe-core/axe.min.js")).ok()
}

/// What `axe-core` says against the page as it is, in each scheme and width.
fn expect_reachable(window: &Window, axe: &str, what: &str) {
    window.run(&format!("if (!window.axe) {{ {axe}; window.axe = axe; }}"));
    for width in [320, 768, 1440] {
        window.resize(width, 800);
        for scheme in ["light", "dark"] {
            window.prefer(scheme);
            window.run(
                "window.found = null; axe.run(document, {resultTypes: ['violations']}).then(\
                    all => found = all.violations.map(it => it.id + ': ' + it.nodes.map(node => node.html).join(' ')), \
                    error => found = [String(error)])",
            );
            window.wait_for("return found !== null", &json!(true));
            let found = window.run("return found");
            assert_eq!(found, json!([]), "{what}, {scheme}, {width} px");
        }
    }
}

fn reachable() {
    let axe = axe().expect("it is installed");
    let mut server = server(&ANY, &["lines-per-second=0"]);
    let window = ann(&server);
    expect_reachable(&window, &axe, "empty");
    let mut bob = server.join("bob");
    let mut others =
        ["\u{8001}\u{7f57}", "\u{645}\u{62d}\u{645}\u{62f}"].map(|name| server.join(name));
    for other in &mut others {
        other.say("hello");
    }
    bob.say("hello ann, see https://example.org/");
    bob.say("/me waves");
    bob.say("/msg ann psst");
    window.press(&format!("/nonsense{ENTER}/who{ENTER}"));
    window.wait_for("return log.querySelectorAll('.fail').length", &json!(1));
    window.wait_for("return log.querySelectorAll('.private').length", &json!(1));
    window.wait_for("return roomsAsked", &json!(false));
    expect_reachable(&window, &axe, "in a talk");
    window.resize(320, 800);
    window.run("document.getElementById('people').click()");
    expect_reachable(&window, &axe, "with the list open");
    window.run("document.getElementById('shut').click()");
    server.signal(Signal::STOP);
    window.press(&format!("lost{ENTER}"));
    server.signal(Signal::KILL);
    server.wait();
    let hidden = "return document.getElementById('bar').hidden";
    window.wait_for(hidden, &json!(false));
    expect_reachable(&window, &axe, "disconnected");
    let refused = "farewell = 'you are banned'; lost(1008); return state";
    assert_eq!(window.run(refused), json!("gone"));
    expect_reachable(&window, &axe, "refused");
    // It can find something.
    window.run("log.append(document.createElement('img'))");
    let blames = "window.found = null; axe.run(document).then(all => found = all.violations.map(it => it.id))";
    window.run(blames);
    window.wait_for("return found?.includes('image-alt') || false", &json!(true));
}
