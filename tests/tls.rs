//! TLS over real sockets: with the clients that people have, while the certificate is renewed, and with what is no TLS.
//! A client that is not installed is reported as ignored.

mod support;

#[path = "tls/certificate.rs"]
mod certificate;
#[path = "tls/clients.rs"]
mod clients;
#[path = "tls/dialled.rs"]
mod dialled;
#[path = "tls/door.rs"]
mod door;
#[path = "relay/engine.rs"]
#[allow(dead_code, reason = "the tests of the relay use more of it")]
mod engine;
#[path = "tls/hostile.rs"]
mod hostile;
#[path = "tls/relay.rs"]
mod relay;
#[path = "tls/renewing.rs"]
mod renewing;
#[path = "tls/talk.rs"]
mod talk;

use libtest_mimic::{Arguments, Trial};
use support::own_network;
use support::programs::is_installed;
use support::server::{chatd, Server};

use certificate::Certificate;

fn main() {
    let arguments = Arguments::from_args();
    let mut trials = Vec::new();
    let mut add = |name: String, program: &str, test: Box<dyn FnOnce() + Send>| {
        let run = move || {
            test();
            Ok(())
        };
        let is_missing = !program.is_empty() && !is_installed(program);
        trials.push(Trial::test(name, run).with_ignored_flag(is_missing));
    };
    for client in clients::CLIENTS {
        let words = client.iter().filter(|word| !word.contains('\n'));
        let words: Vec<&str> = words.copied().collect();
        let name = format!("a talk: {}", words.join(" "));
        add(name, client[0], Box::new(move || clients::talk(client)));
    }
    for (name, program, test) in [
        ("a page over https", "curl", clients::a_page as fn()),
        ("behind haproxy", "haproxy", clients::behind_haproxy),
        ("behind stunnel", "stunnel4", clients::behind_stunnel),
        ("nothing old is spoken", "sslscan", clients::nothing_old),
        ("the library talks", "", dialled::a_talk as fn()),
        ("the library trusts what it is told to", "", dialled::trust),
        (
            "the library takes what openssl makes",
            "openssl",
            dialled::by_openssl,
        ),
        ("a person without tls is told so", "", door::in_clear),
        ("handshakes that stop leave room", "", door::half_open),
        (
            "a hostile server ends its client alone",
            "",
            hostile::before_the_handshake,
        ),
        (
            "a hostile server that has shaken hands does",
            "",
            hostile::behind_the_handshake,
        ),
        (
            "a server that ends without a word has ended",
            "",
            hostile::an_end_without_a_word,
        ),
        (
            "servers share a chat through an engine in TLS",
            "redis-server",
            relay::in_tls,
        ),
        ("a header may come in any pieces", "", door::pieces),
        ("what fails is told in one line", "", door::failures),
        ("a bad start is one line", "", renewing::bad_starts),
        ("an end that is near is told", "", renewing::near_its_end),
        ("renewed under a talk", "", renewing::under_a_talk),
        ("a broken one changes nothing", "", renewing::broken),
        ("only 1.3", "", renewing::only_13),
        ("nothing is resumed", "", door::nothing_is_resumed),
    ] {
        add(name.to_owned(), program, Box::new(test));
    }
    let missing = talk::PROGRAMS.iter().find(|name| !is_installed(name));
    add(
        "everybody talks while the certificate is renewed".to_owned(),
        missing.unwrap_or(&""),
        Box::new(talk::all_at_once),
    );
    #[cfg(feature = "load")]
    add(
        "the load test passes".to_owned(),
        "",
        Box::new(dialled::load),
    );
    trials.extend(own_network::trials(&[(
        "one address leaves room for others",
        door::crowd_of_one_address,
    )]));
    libtest_mimic::run(&arguments, trials).exit();
}

/// A server with these listeners, beside one for people in clear.
fn server(certificate: &Certificate, listeners: &[&str], settings: &[&str]) -> Server {
    let settings = settings.iter().map(|setting| ("-o", (*setting).to_owned()));
    server_with(certificate, listeners, &settings.collect::<Vec<_>>())
}

/// The same with further flags.
fn server_with(certificate: &Certificate, listeners: &[&str], flags: &[(&str, String)]) -> Server {
    let mut command = chatd();
    command.args(["-l", "telnet://127.0.0.1:0"]);
    for listener in listeners {
        command.args(["-l", &format!("{listener}://127.0.0.1:0")]);
    }
    let defaults = ["history-lines=0", "lines-per-second=0"];
    let files = certificate.settings();
    let files = files.iter().map(String::as_str);
    for setting in defaults.into_iter().chain(files) {
        command.args(["-o", setting]);
    }
    for (flag, value) in flags {
        command.args([*flag, value]);
    }
    let server = Server::spawn(command.env("RUST_LOG", "debug"));
    for listener in listeners {
        server.address(listener);
    }
    server
}
