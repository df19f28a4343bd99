//! A real browser, driven through `chromedriver` by the protocol of the W3C for that.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::SocketAddr;
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use serde_json::{json, Value};

use super::http;
use super::DEADLINE;

/// The key that a page hears as Enter.
pub(crate) const ENTER: &str = "\u{e007}";

/// One window of a browser without a screen.
pub(crate) struct Window {
    driver: Child,
    at: SocketAddr,
    session: String,
}

impl Drop for Window {
    fn drop(&mut self) {
        if !thread::panicking() {
            self.ask(&format!("DELETE /session/{}", self.session), "");
        }
        // It has ended by then, or is ended here: either way nobody waits for it.
        let _ = self.driver.kill();
        let _ = self.driver.wait();
    }
}

impl Window {
    /// Opens a window and an empty profile.
    pub(crate) fn open() -> Self {
        // A free one, which nobody else takes in this moment.
        let port = std::net::TcpListener::bind("127.0.0.1:0").and_then(|it| it.local_addr());
        let at = port.expect("a free port");
        let driver = Command::new("chromedriver")
            .arg(format!("--port={}", at.port()))
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .expect("it is installed");
        let begun = Instant::now();
        while std::net::TcpStream::connect(at).is_err() {
            assert!(begun.elapsed() < DEADLINE, "chromedriver does not listen");
            thread::sleep(Duration::from_millis(50));
        }
        let mut window = Self {
            driver,
            at,
            session: String::new(),
        };
        let options = json!({"args": ["--headless=new", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage"]});
        // A certificate that a test has made is nobody's whom a browser trusts.
        let wanted = json!({"browserName": "chrome", "acceptInsecureCerts": true, "goog:chromeOptions": options, "goog:loggingPrefs": {"browser": "ALL"}});
        let body = json!({"capabilities": {"alwaysMatch": wanted}});
        let answer = window.ask("POST /session", &body.to_string());
        let session = answer["sessionId"].as_str().expect("a session");
        window.session.push_str(session);
        window
    }

    /// Sends a request, and reads the answer, behind which the driver keeps the connection.
    #[track_caller]
    fn ask(&self, what: &str, body: &str) -> Value {
        let (at, length) = (self.at, body.len());
        let mut stream = http::connect(at);
        let head = format!("{what} HTTP/1.1\r\nHost: {at}\r\nContent-Length: {length}\r\n\r\n");
        stream.write_all(head.as_bytes()).expect("it is taken");
        stream.write_all(body.as_bytes()).expect("it is taken");
        let mut reader = BufReader::new(stream);
        let (mut status, mut length) = (String::new(), 0);
        reader.read_line(&mut status).expect("a status");
        loop {
            let mut line = String::new();
            reader.read_line(&mut line).expect("a field");
            let field = line.trim_end().to_ascii_lowercase();
            if let Some(value) = field.strip_prefix("content-length:") {
                length = value.trim().parse().expect("a length");
            }
            if field.is_empty() {
                break;
            }
        }
        let mut body = vec![0; length];
        reader.read_exact(&mut body).expect("a body");
        let mut answer: Value = serde_json::from_slice(&body).expect("JSON");
        assert!(status.contains(" 200 "), "{what}: {answer}");
        answer["value"].take()
    }

    #[track_caller]
    fn command(&self, what: &str, body: &Value) -> Value {
        self.ask(
            &format!("POST /session/{}/{what}", self.session),
            &body.to_string(),
        )
    }

    /// Goes to a page.
    #[track_caller]
    pub(crate) fn go(&self, to: SocketAddr) {
        self.go_by("http", to);
    }

    /// The same by this scheme, `https` for a page in TLS.
    #[track_caller]
    pub(crate) fn go_by(&self, scheme: &str, to: SocketAddr) {
        self.command("url", &json!({"url": format!("{scheme}://{to}/")}));
    }

    /// What a piece of script gives in the page.
    #[track_caller]
    pub(crate) fn run(&self, script: &str) -> Value {
        self.command("execute/sync", &json!({"script": script, "args": []}))
    }

    /// Waits until a piece of script gives this.
    #[track_caller]
    pub(crate) fn wait_for(&self, script: &str, wanted: &Value) {
        let begun = Instant::now();
        loop {
            let found = self.run(script);
            if found == *wanted {
                return;
            }
            let is_late = begun.elapsed() > DEADLINE;
            assert!(!is_late, "{script}: {found}, and not {wanted}");
            thread::sleep(Duration::from_millis(20));
        }
    }

    /// Presses keys in the field of the page.
    #[track_caller]
    pub(crate) fn press(&self, keys: &str) {
        let found = self.command(
            "element",
            &json!({"using": "css selector", "value": "#text"}),
        );
        let ids = found.as_object().and_then(|ids| ids.values().next());
        let id = ids.and_then(Value::as_str).expect("the field");
        self.command(&format!("element/{id}/value"), &json!({"text": keys}));
    }

    /// Makes it as wide as this, in pixels of the page.
    #[track_caller]
    pub(crate) fn resize(&self, width: u32, height: u32) {
        let size = json!({"width": width, "height": height, "deviceScaleFactor": 1, "mobile": width < 500});
        let command = json!({"cmd": "Emulation.setDeviceMetricsOverride", "params": size});
        self.command("goog/cdp/execute", &command);
    }

    /// Lets it prefer this scheme of colours, `light` or `dark`.
    #[track_caller]
    pub(crate) fn prefer(&self, scheme: &str) {
        let features = json!([{"name": "prefers-color-scheme", "value": scheme}]);
        let command =
            json!({"cmd": "Emulation.setEmulatedMedia", "params": {"features": features}});
        self.command("goog/cdp/execute", &command);
    }

    /// What the browser has complained of.
    #[track_caller]
    pub(crate) fn complaints(&self) -> Vec<String> {
        let log = self.command("se/log", &json!({"type": "browser"}));
        let entries = log.as_array().cloned().unwrap_or_default();
        let messages = entries.iter().filter_map(|entry| entry["message"].as_str());
        messages.map(str::to_owned).collect()
    }
}
