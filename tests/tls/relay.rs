//! Servers that share a chat through an engine which is reached in TLS.

use std::net::TcpListener;

use super::certificate::Certificate;
use super::engine::{meet, Engine};
use super::support::server::Server;

/// An engine that listens in TLS, too, and its port there.
fn engine(certificate: &Certificate) -> (Engine, u16) {
    // A free one, which nobody else takes in this moment.
    let port = TcpListener::bind("127.0.0.1:0").and_then(|it| it.local_addr());
    let port = port.expect("a free port").port();
    let (cert, key) = (certificate.path("cert.pem"), certificate.path("key.pem"));
    let number = port.to_string();
    let options = ["--tls-port", &number, "--tls-auth-clients", "no"];
    let files = [
        "--tls-cert-file",
        &cert,
        "--tls-key-file",
        &key,
        "--tls-ca-cert-file",
        &cert,
    ];
    (Engine::with(&[&options[..], &files].concat()), port)
}

/// One server reaches it in TLS, and one in clear; then it is started again with another certificate.
pub(crate) fn in_tls() {
    let certificate = Certificate::new();
    let (mut engine, port) = engine(&certificate);
    let relay = format!("relay=rediss://localhost:{port}");
    let roots = |path: &str| format!("tls-roots={path}");
    let trusted = roots(&certificate.path("cert.pem"));
    let secured = Server::start(&[&relay, &trusted]);
    secured.log.wait_for("relay state=attached");
    let servers = [secured, engine.server(&[])];
    meet(&servers);
    let [secured, in_clear] = &servers;
    let (mut ann, mut bob) = (secured.join("ann"), in_clear.join("bob"));
    ann.skip_until("-- bob joined (2 here)");
    // More than a record, and more than one is read of a time.
    let long = "x".repeat(4000);
    for round in 0..20 {
        ann.say(&format!("{round} {long}"));
        bob.expect(&format!("<ann> {round} {long}"));
        bob.say(&format!("{long} {round}"));
        ann.expect(&format!("<bob> {long} {round}"));
    }
    engine.kill();
    engine.begin();
    bob.say("still there?");
    ann.expect("<bob> still there?");
    // Whom it does not trust it does not talk to.
    let other = Certificate::new();
    let stranger = Server::start(&[&relay, &roots(&other.path("cert.pem"))]);
    let line = stranger.log.wait_for("WARN relay: ");
    assert!(line.contains("UnknownIssuer"), "{line}");
    assert!(stranger.log.matching("relay state=attached").is_empty());
}
