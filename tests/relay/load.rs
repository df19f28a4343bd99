//! The load test over servers that share a chat: everybody hears all of their room, from whichever server it was said.

use std::process::Command;

use serde_json::Value;

use super::engine::Engine;

const CLIENTS: u64 = 100;
const ROOMS: u64 = 5;
const MESSAGES: u64 = 11;

pub(crate) fn two_servers() {
    let engine = Engine::start();
    // Nobody is given up, and nobody is alone, however slow the machine is.
    let [first, second] =
        engine.two_servers(&["relay-patience-seconds=60", "relay-lease-seconds=60"]);
    let mut command = Command::new(env!("CARGO_BIN_EXE_chatload"));
    command
        .args(["--clients", &CLIENTS.to_string()])
        .args(["--rooms", &ROOMS.to_string()])
        .args(["--messages", &MESSAGES.to_string()])
        .args(["--interval", "0.02-0.06", "--churn", "--rounds", "2"])
        .args(["--json", "--pid", &first.pid().to_string()])
        .args(["--pid", &second.pid().to_string()])
        .arg(format!("wire://{}", first.wire()))
        // People are here and programs there.
        .arg(format!("telnet://{}", second.telnet()));
    let output = command.output().expect("it was built");
    let report: Value = serde_json::from_slice(&output.stdout)
        .unwrap_or_else(|error| panic!("{error}: {output:?}"));
    assert_eq!(report["verdict"], "PASS", "{report:#}");
    assert!(output.status.success(), "{}", output.status);
    let rounds = report["rounds"].as_array().expect("rounds");
    assert_eq!(rounds.len(), 2);
    for round in rounds {
        assert_eq!(round["connected"], CLIENTS);
        assert_eq!(round["sent"], CLIENTS * MESSAGES);
        // One who takes a place may hear what was under way, and need not.
        let of_all = CLIENTS * MESSAGES * (CLIENTS / ROOMS - 1);
        let received = round["received"].as_u64().expect("a number");
        assert!(received > of_all / 2, "{received} of {of_all}");
        for wrong in ["lost", "duplicated", "out_of_order", "leaked"] {
            assert_eq!(round[wrong], 0, "{wrong}: {round:#}");
        }
        assert_eq!(round["after"]["threads"], 2, "one of each server");
    }
}
