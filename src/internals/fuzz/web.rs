//! A browser's bytes: heads of requests and frames, however they are cut into packets, against a reader that has all of
//! them at once.

use crate::dialect::web::frames::{Decoder, Found};
use crate::dialect::web::{answer, Site};

/// Of a message at most this many bytes are kept.
const MESSAGE_BYTES_MAX: usize = 300;

/// What a peer sends may be this much larger than what is kept of it: a packet, and the decoder itself.
const SPARE_BYTES: usize = 2048;

/// The first byte says how long the packets are.
pub(super) fn check_head(input: &[u8]) {
    let Some((&first, bytes)) = input.split_first() else {
        return;
    };
    let site = Site::default();
    let answers = |packet: usize| {
        let (mut waiting, mut answers) = (Vec::new(), Vec::new());
        for packet in bytes.chunks(packet) {
            waiting.extend_from_slice(packet);
            while let Some(asked) = answer(&mut waiting, &site, 8080) {
                let is_last = asked.answer.is_last || asked.coming.is_some();
                let head = String::from_utf8(asked.answer.head).expect("a head is text");
                assert!(head.starts_with("HTTP/1.1 ") && head.ends_with("\r\n\r\n"));
                assert!(!asked.answer.is_last || asked.coming.is_none());
                answers.push((head, asked.answer.body.len(), asked.coming));
                if is_last {
                    return answers;
                }
            }
            assert!(waiting.len() < 8 * 1024, "{} bytes wait", waiting.len());
        }
        answers
    };
    // A head that is too long is refused as soon as that can be told, so packets must be short enough for that.
    let whole = answers(8 * 1024 - 1);
    assert_eq!(answers(usize::from(first) + 1), whole);
}

/// The first byte says how long the packets are.
pub(super) fn check_frames(input: &[u8]) {
    let Some((&first, bytes)) = input.split_first() else {
        return;
    };
    let (mut decoder, mut found) = (Decoder::default(), Vec::new());
    'packets: for mut packet in bytes.chunks(usize::from(first) + 1) {
        while let Some(next) = decoder.next(&mut packet, MESSAGE_BYTES_MAX) {
            let is_end = matches!(next, Found::Broken(_));
            found.push(next);
            if is_end {
                break 'packets;
            }
        }
        assert!(packet.is_empty());
        assert!(decoder.buffered() <= 2 * MESSAGE_BYTES_MAX + SPARE_BYTES);
    }
    assert_eq!(found, all_at_once(bytes));
}

/// What is in the stream, read frame by frame where each is whole.
fn all_at_once(bytes: &[u8]) -> Vec<Found> {
    let (mut decoder, mut found) = (Decoder::default(), Vec::new());
    let mut input = bytes;
    while let Some(next) = decoder.next(&mut input, MESSAGE_BYTES_MAX) {
        let is_end = matches!(next, Found::Broken(_));
        found.push(next);
        if is_end {
            break;
        }
    }
    found
}
