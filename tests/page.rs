//! The page in a real browser, where `chromium` and its driver are installed.

mod support;

use std::path::Path;

use libtest_mimic::{Arguments, Trial};
use rustix::process::Signal;
use serde_json::json;
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
        ("a flood is shown in its order", flood),
        (
            "what is composed or has rows is sent when it is meant",
            field,
        ),
        ("it fits a small telephone", telephone),
    ];
    let trials = trials.map(|(name, test)| {
        let run = move || {
            test();
            Ok(())
        };
        Trial::test(name, run).with_ignored_flag(is_missing)
    });
    libtest_mimic::run(&arguments, trials.into()).exit();
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
    window.go(server.address("http"));
    window.wait_for("return state", &json!("here"));
    let question =
        "return document.getElementById('hint').textContent.startsWith('What shall we call you?')";
    window.wait_for(question, &json!(true));
    window.press(&format!("ann{ENTER}"));
    window.wait_for("return you", &json!("ann"));
    window
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
    assert_eq!(window.complaints(), [""; 0]);
}

fn come_back() {
    let transcript = Path::new(env!("CARGO_TARGET_TMPDIR")).join("page-transcript");
    // It may be there from an earlier run.
    let _ = std::fs::remove_file(&transcript);
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

fn flood() {
    let server = server(&ANY, &["lines-per-second=0"]);
    let window = ann(&server);
    let mut bob = server.join("bob");
    let lines: Vec<String> = (0..10_000)
        .map(|n| format!("line {n:05} of a flood\r\n"))
        .collect();
    bob.send(lines.concat().as_bytes());
    window.wait_for("return items.at(-1).x", &json!("line 09999 of a flood"));
    let kept = window.run(SAID);
    let kept = kept.as_array().unwrap();
    assert!(kept.len() >= 4900, "{} lines are kept", kept.len());
    let first = 10_000 - kept.len();
    for (index, line) in kept.iter().enumerate() {
        assert_eq!(*line, format!("line {:05} of a flood", first + index));
    }
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
