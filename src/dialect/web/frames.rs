//! Frames of the WebSocket protocol (RFC 6455, section 5), in and out.
//!
//! What comes in is unmasked as it is taken, checked at once, and kept only until its message is whole; of one that is
//! longer than allowed nothing is kept.

/// A message of more bytes than this means no message at all.
const FLOOD_BYTES_MAX: u64 = 16 * 1024 * 1024;

/// The payload of a control frame has at most this many bytes (section 5.5).
const CONTROL_BYTES_MAX: usize = 125;

/// A head has at most this many bytes: 2, a length of 8, a mask of 4.
const HEAD_BYTES_MAX: usize = 14;

/// What was wrong with a frame, as a close code (section 7.4.1).
pub(in crate::dialect) mod code {
    pub(in crate::dialect) const NORMAL: u16 = 1000;
    pub(in crate::dialect) const GOING_AWAY: u16 = 1001;
    pub(in crate::dialect) const PROTOCOL: u16 = 1002;
    pub(in crate::dialect) const NOT_TEXT: u16 = 1003;
    pub(in crate::dialect) const NOT_UTF8: u16 = 1007;
    pub(in crate::dialect) const POLICY: u16 = 1008;
    pub(in crate::dialect) const TOO_BIG: u16 = 1009;
    pub(in crate::dialect) const TRY_AGAIN: u16 = 1013;
}

/// What kind a frame is of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Opcode {
    Continuation,
    Text,
    Binary,
    Close,
    Ping,
    Pong,
}

impl Opcode {
    fn of(bits: u8) -> Option<Self> {
        Some(match bits {
            0x0 => Self::Continuation,
            0x1 => Self::Text,
            0x2 => Self::Binary,
            0x8 => Self::Close,
            0x9 => Self::Ping,
            0xa => Self::Pong,
            _ => return None,
        })
    }

    fn bits(self) -> u8 {
        match self {
            Self::Continuation => 0x0,
            Self::Text => 0x1,
            Self::Binary => 0x2,
            Self::Close => 0x8,
            Self::Ping => 0x9,
            Self::Pong => 0xa,
        }
    }

    fn is_control(self) -> bool {
        self.bits() & 0x8 != 0
    }
}

/// Something whole that a peer has sent.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Found {
    Text(String),
    Binary(Vec<u8>),
    /// A message was longer than allowed, by its bytes, and is gone.
    TooLong(u64),
    Ping(Vec<u8>),
    Pong,
    /// The peer closes, with this code if it gave one.
    Close(Option<u16>),
    /// The stream breaks the rules: it is to be closed with this code, and nothing more is read of it.
    Broken(u16),
}

/// A frame whose payload is being read.
#[derive(Debug, Clone, Copy)]
struct Frame {
    opcode: Opcode,
    is_final: bool,
    mask: [u8; 4],
    /// Bytes of the payload that were taken.
    taken: u64,
    /// Bytes of it that are to come.
    left: u64,
}

/// Makes messages of bytes, however these are cut.
///
/// Invariant: `message` and `control` hold no more than their bounds, whatever a frame says of its length.
#[derive(Debug, Default)]
pub(crate) struct Decoder {
    /// Whether binary messages are taken, too.
    takes_binary: bool,
    /// The beginning of a head.
    head: [u8; HEAD_BYTES_MAX],
    head_bytes: u8,
    frame: Option<Frame>,
    /// Of what kind the message is that is not whole yet.
    begun: Option<Opcode>,
    /// What is kept of it; of one that is too long, no more than the beginning of a character.
    message: Vec<u8>,
    /// The first bytes of `message`, this many, are whole characters.
    checked: usize,
    /// All its bytes, those that were not kept among them.
    message_bytes: u64,
    is_too_long: bool,
    /// The payload of a control frame.
    control: Vec<u8>,
}

impl Decoder {
    /// One that takes binary messages as well as text.
    #[cfg(feature = "internals")]
    pub(crate) fn of_both_kinds() -> Self {
        Self {
            takes_binary: true,
            ..Self::default()
        }
    }

    /// Takes bytes from `input` until something is whole; `None` when they are used up. Of a message at most `bytes_max`
    /// bytes are kept.
    pub(crate) fn next(&mut self, input: &mut &[u8], bytes_max: usize) -> Option<Found> {
        loop {
            let frame = match self.frame {
                Some(frame) => frame,
                None => match self.begin(input)? {
                    Ok(frame) => frame,
                    Err(code) => return Some(Found::Broken(code)),
                },
            };
            let length = usize::try_from(frame.left).unwrap_or(usize::MAX);
            let (payload, rest) = input.split_at(length.min(input.len()));
            *input = rest;
            if let Err(code) = self.take(frame, payload, bytes_max) {
                return Some(Found::Broken(code));
            }
            let taken = payload.len() as u64;
            let frame = Frame {
                taken: frame.taken + taken,
                left: frame.left - taken,
                ..frame
            };
            if frame.left > 0 {
                self.frame = Some(frame);
                return None;
            }
            self.frame = None;
            if let Some(found) = self.end(frame) {
                return Some(found);
            }
        }
    }

    /// Takes the head of a frame; `None` if it is not whole.
    fn begin(&mut self, input: &mut &[u8]) -> Option<Result<Frame, u16>> {
        loop {
            let head_bytes = usize::from(self.head_bytes);
            match self.parse(head_bytes) {
                Ok(Some(frame)) => {
                    self.head_bytes = 0;
                    return Some(self.admit(frame).map(|()| frame));
                }
                Ok(None) => {}
                Err(code) => return Some(Err(code)),
            }
            let (byte, rest) = input.split_first()?;
            self.head[head_bytes] = *byte;
            self.head_bytes += 1;
            *input = rest;
        }
    }

    /// The frame that the first `bytes` of a head tell of, if they are all of it.
    ///
    /// # Errors
    /// The head is wrong, as soon as that can be told.
    fn parse(&self, bytes: usize) -> Result<Option<Frame>, u16> {
        let head = &self.head[..bytes];
        let Some(first) = head.first() else {
            return Ok(None);
        };
        let opcode = Opcode::of(first & 0x0f).filter(|_| first & 0x70 == 0);
        let opcode = opcode.ok_or(code::PROTOCOL)?;
        let is_final = first & 0x80 != 0;
        let Some(second) = head.get(1) else {
            return Ok(None);
        };
        let short = second & 0x7f;
        let is_whole = is_final && usize::from(short) <= CONTROL_BYTES_MAX;
        // A client's frames are masked (section 5.1).
        if second & 0x80 == 0 || opcode.is_control() && !is_whole {
            return Err(code::PROTOCOL);
        }
        let length_bytes = match short {
            126 => 2,
            127 => 8,
            _ => 0,
        };
        let Some(length) = head.get(2..2 + length_bytes) else {
            return Ok(None);
        };
        let long = length
            .iter()
            .fold(0, |length, byte| length << 8 | u64::from(*byte));
        let length = if length_bytes == 0 {
            u64::from(short)
        } else {
            long
        };
        // As short as can be (section 5.2), and below 2^63.
        let least = [0, 126, 0x1_0000][length_bytes.div_ceil(4)];
        if length < least || length > i64::MAX as u64 {
            return Err(code::PROTOCOL);
        }
        let Some(mask) = head.get(2 + length_bytes..6 + length_bytes) else {
            return Ok(None);
        };
        let mut frame = Frame {
            opcode,
            is_final,
            mask: [0; 4],
            taken: 0,
            left: length,
        };
        frame.mask.copy_from_slice(mask);
        Ok(Some(frame))
    }

    /// Whether a frame may follow those before it.
    fn admit(&mut self, frame: Frame) -> Result<(), u16> {
        match (frame.opcode, self.begun) {
            (Opcode::Close | Opcode::Ping | Opcode::Pong, _) => return Ok(()),
            (Opcode::Continuation, None) | (Opcode::Text | Opcode::Binary, Some(_)) => {
                return Err(code::PROTOCOL);
            }
            (Opcode::Binary, None) if !self.takes_binary => return Err(code::NOT_TEXT),
            (Opcode::Text | Opcode::Binary, None) => self.begun = Some(frame.opcode),
            (Opcode::Continuation, Some(_)) => {}
        }
        let bytes = self.message_bytes.saturating_add(frame.left);
        if bytes > FLOOD_BYTES_MAX {
            return Err(code::TOO_BIG);
        }
        Ok(())
    }

    /// Takes a piece of the payload of a frame.
    fn take(&mut self, frame: Frame, payload: &[u8], bytes_max: usize) -> Result<(), u16> {
        if frame.opcode.is_control() {
            unmask(payload, frame, &mut self.control);
            return Ok(());
        }
        let bytes = self.message_bytes + payload.len() as u64;
        self.message_bytes = bytes;
        self.is_too_long |= bytes > bytes_max as u64;
        unmask(payload, frame, &mut self.message);
        if self.begun == Some(Opcode::Text) {
            self.check()?;
        } else {
            self.checked = self.message.len();
        }
        if self.is_too_long {
            self.message.drain(..self.checked);
            self.message.shrink_to(0);
            self.checked = 0;
        }
        Ok(())
    }

    /// Looks at what was not looked at before: it must be text as far as it goes.
    fn check(&mut self) -> Result<(), u16> {
        match std::str::from_utf8(&self.message[self.checked..]) {
            Ok(text) => self.checked += text.len(),
            Err(error) if error.error_len().is_some() => return Err(code::NOT_UTF8),
            // The rest of a character may come.
            Err(error) => self.checked += error.valid_up_to(),
        }
        Ok(())
    }

    /// A frame is whole; gives what it ends.
    fn end(&mut self, frame: Frame) -> Option<Found> {
        match frame.opcode {
            Opcode::Ping => Some(Found::Ping(std::mem::take(&mut self.control))),
            Opcode::Pong => {
                self.control = Vec::new();
                Some(Found::Pong)
            }
            Opcode::Close => Some(closing(&std::mem::take(&mut self.control))),
            _ if !frame.is_final => None,
            _ => Some(self.end_message()),
        }
    }

    fn end_message(&mut self) -> Found {
        let message = std::mem::take(&mut self.message);
        let bytes = std::mem::take(&mut self.message_bytes);
        let is_text = self.begun.take() == Some(Opcode::Text);
        let is_whole = std::mem::take(&mut self.checked) == message.len();
        let is_too_long = std::mem::take(&mut self.is_too_long);
        if is_text && !is_whole {
            return Found::Broken(code::NOT_UTF8);
        }
        if is_too_long {
            return Found::TooLong(bytes);
        }
        if !is_text {
            return Found::Binary(message);
        }
        match String::from_utf8(message) {
            Ok(text) => Found::Text(text),
            Err(_) => Found::Broken(code::NOT_UTF8),
        }
    }

    /// Bytes that are kept.
    pub(crate) fn buffered(&self) -> usize {
        size_of::<Self>() + self.message.capacity() + self.control.capacity()
    }

    /// Whether it is between two messages, so that another one could go on.
    pub(in crate::dialect) fn is_idle(&self) -> bool {
        self.head_bytes == 0 && self.frame.is_none() && self.begun.is_none()
    }
}

/// Adds a piece of a payload as it was before it was masked (section 5.3).
fn unmask(payload: &[u8], frame: Frame, out: &mut Vec<u8>) {
    let mut mask = frame.mask;
    mask.rotate_left((frame.taken % 4) as usize);
    let begin = out.len();
    out.extend_from_slice(payload);
    for chunk in out[begin..].chunks_mut(4) {
        for (byte, mask) in chunk.iter_mut().zip(mask) {
            *byte ^= mask;
        }
    }
}

/// What the payload of a close frame says (sections 5.5.1 and 7.4).
fn closing(payload: &[u8]) -> Found {
    match payload {
        [] => Found::Close(None),
        [high, low, reason @ ..] => {
            let code = u16::from_be_bytes([*high, *low]);
            let is_code = matches!(code, 1000..=1003 | 1007..=1014 | 3000..=4999);
            if !is_code {
                Found::Broken(code::PROTOCOL)
            } else if std::str::from_utf8(reason).is_err() {
                Found::Broken(code::NOT_UTF8)
            } else {
                Found::Close(Some(code))
            }
        }
        [_] => Found::Broken(code::PROTOCOL),
    }
}

/// Adds a frame with the payload that `write` adds. It is not masked, as no frame of a server is.
pub(crate) fn push(out: &mut Vec<u8>, opcode: Opcode, write: impl FnOnce(&mut Vec<u8>)) {
    let begin = out.len();
    out.extend_from_slice(&[0x80 | opcode.bits(), 0]);
    write(out);
    let length = out.len() - begin - 2;
    match length {
        ..=125 => out[begin + 1] = length as u8,
        126..=0xffff => {
            out[begin + 1] = 126;
            let length = (length as u16).to_be_bytes();
            out.splice(begin + 2..begin + 2, length);
        }
        _ => {
            out[begin + 1] = 127;
            let length = (length as u64).to_be_bytes();
            out.splice(begin + 2..begin + 2, length);
        }
    }
}

/// Adds a close frame.
pub(crate) fn push_close(out: &mut Vec<u8>, code: Option<u16>) {
    push(out, Opcode::Close, |out| {
        out.extend(code.into_iter().flat_map(u16::to_be_bytes));
    });
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const MASK: [u8; 4] = [0x37, 0xfa, 0x21, 0x3d];

    /// A frame as a client makes it.
    fn masked(first: u8, payload: &[u8]) -> Vec<u8> {
        let mut out = vec![first];
        match payload.len() {
            length @ ..=125 => out.push(0x80 | length as u8),
            length @ 126..=0xffff => {
                out.push(0xfe);
                out.extend((length as u16).to_be_bytes());
            }
            length => {
                out.push(0xff);
                out.extend((length as u64).to_be_bytes());
            }
        }
        out.extend(MASK);
        let bytes = payload.iter().zip(MASK.iter().cycle());
        out.extend(bytes.map(|(byte, mask)| byte ^ mask));
        out
    }

    fn text(payload: &str) -> Vec<u8> {
        masked(0x81, payload.as_bytes())
    }

    /// What is found in these bytes that come in packets of this size, up to what breaks the stream.
    fn found_in(bytes: &[u8], packet: usize) -> Vec<Found> {
        let (mut decoder, mut all) = (Decoder::default(), Vec::new());
        for mut packet in bytes.chunks(packet) {
            while let Some(found) = decoder.next(&mut packet, 100) {
                let is_end = matches!(found, Found::Broken(_));
                all.push(found);
                if is_end {
                    return all;
                }
            }
            assert!(packet.is_empty(), "all is taken that does not end it");
        }
        all
    }

    #[track_caller]
    fn found(bytes: &[u8]) -> Vec<Found> {
        let whole = found_in(bytes, usize::MAX);
        for packet in 1..bytes.len().min(20) {
            assert_eq!(found_in(bytes, packet), whole, "in packets of {packet}");
        }
        whole
    }

    #[track_caller]
    fn is_broken(frames: &[Vec<u8>], code: u16) {
        let found = found(&frames.concat());
        assert_eq!(found.last(), Some(&Found::Broken(code)), "{frames:x?}");
    }

    #[test]
    fn messages_are_whole_however_they_are_cut_and_fragmented() {
        let whole = |text: &str| Found::Text(text.to_owned());
        assert_eq!(found(&text("hello")), [whole("hello")]);
        assert_eq!(found(&text("")), [whole("")]);
        let fragments = [
            masked(0x01, "h\u{e9}".as_bytes()),
            masked(0x89, b"are you there"),
            masked(0x00, b""),
            masked(0x8a, b""),
            masked(0x80, "ll\u{f6}".as_bytes()),
            text("next"),
        ];
        let ping = Found::Ping(b"are you there".to_vec());
        assert_eq!(
            found(&fragments.concat()),
            [ping, Found::Pong, whole("h\u{e9}ll\u{f6}"), whole("next")]
        );
        // A character may be cut by the end of a frame.
        let cut = [masked(0x01, b"\xe7\xbd"), masked(0x80, b"\x97")];
        assert_eq!(found(&cut.concat()), [whole("罗")]);
    }

    #[test]
    fn a_message_that_is_too_long_is_passed_over_and_its_length_told() {
        let long = text(&"x".repeat(101));
        assert_eq!(found(&[long, text("y")].concat()).len(), 2);
        let fragments = [
            masked(0x01, "罗".repeat(30).as_bytes()),
            masked(0x80, "罗".repeat(30).as_bytes()),
            text("y"),
        ];
        assert_eq!(
            found(&fragments.concat()),
            [Found::TooLong(180), Found::Text("y".to_owned())]
        );
        let mut decoder = Decoder::default();
        let bytes = text(&"x".repeat(65_536));
        for mut packet in bytes.chunks(1000) {
            decoder.next(&mut packet, 100);
            assert!(
                decoder.buffered() <= 2048 + size_of::<Decoder>(),
                "{} bytes",
                decoder.buffered()
            );
        }
    }

    #[test]
    fn what_breaks_the_rules_ends_the_stream_with_its_code() {
        let head = |bytes: &[u8]| bytes.to_vec();
        for (frame, code) in [
            (head(&[0x81, 0x05]), code::PROTOCOL),
            (head(&[0xc1]), code::PROTOCOL),
            (head(&[0x83]), code::PROTOCOL),
            (head(&[0x8b]), code::PROTOCOL),
            (masked(0x09, b"x"), code::PROTOCOL),
            (head(&[0x89, 0xfe]), code::PROTOCOL),
            (head(&[0x81, 0xfe, 0, 125]), code::PROTOCOL),
            (
                head(&[0x81, 0xff, 0, 0, 0, 0, 0, 0, 0xff, 0xff]),
                code::PROTOCOL,
            ),
            (
                head(&[0x81, 0xff, 0x80, 0, 0, 0, 0, 0, 0, 0]),
                code::PROTOCOL,
            ),
            (masked(0x80, b"x"), code::PROTOCOL),
            (masked(0x82, b"x"), code::NOT_TEXT),
            (masked(0x81, b"\xff"), code::NOT_UTF8),
            (masked(0x81, b"x\xc0\xaf"), code::NOT_UTF8),
            (masked(0x81, b"\xed\xa0\x80"), code::NOT_UTF8),
            (masked(0x81, b"\xe7\xbd"), code::NOT_UTF8),
            (
                head(&[0x81, 0xff, 0, 0, 0, 0, 1, 0, 0, 1, 0, 0, 0, 0]),
                code::TOO_BIG,
            ),
            (masked(0x88, b"x"), code::PROTOCOL),
            (masked(0x88, &1005_u16.to_be_bytes()), code::PROTOCOL),
            (masked(0x88, &2999_u16.to_be_bytes()), code::PROTOCOL),
            (masked(0x88, b"\x03\xe8\xff"), code::NOT_UTF8),
        ] {
            is_broken(&[frame], code);
        }
        is_broken(&[masked(0x01, b"x"), text("y")], code::PROTOCOL);
        // Not all of a wrong text need be there.
        is_broken(&[masked(0x01, b"\xce\xba\xff")], code::NOT_UTF8);
    }

    #[test]
    fn a_close_gives_its_code() {
        assert_eq!(found(&masked(0x88, b"")), [Found::Close(None)]);
        for code in [1000, 1001, 1003, 1007, 1014, 3000, 4999] {
            let payload = [&u16::to_be_bytes(code)[..], b"bye"].concat();
            assert_eq!(found(&masked(0x88, &payload)), [Found::Close(Some(code))]);
        }
    }

    #[test]
    fn a_frame_of_ours_has_the_shortest_head() {
        for (length, head) in [
            (0, &[0x81, 0][..]),
            (125, &[0x81, 125]),
            (126, &[0x81, 126, 0, 126]),
            (65_535, &[0x81, 126, 0xff, 0xff]),
            (65_536, &[0x81, 127, 0, 0, 0, 0, 0, 1, 0, 0]),
        ] {
            let mut out = b"before".to_vec();
            push(&mut out, Opcode::Text, |out| out.extend(vec![b'x'; length]));
            assert_eq!(&out[6..6 + head.len()], head);
            assert_eq!(out.len(), 6 + head.len() + length);
        }
        let mut out = Vec::new();
        push_close(&mut out, Some(1001));
        assert_eq!(out, [0x88, 2, 3, 0xe9]);
    }

    proptest! {
        #[test]
        fn whatever_comes_is_found_the_same_however_it_is_cut(
            bytes in prop::collection::vec(any::<u8>(), 0..200),
            texts in prop::collection::vec("\\PC{0,60}", 0..4),
            packet in 1_usize..40,
        ) {
            let mut stream: Vec<u8> = texts.iter().flat_map(|it| text(it)).collect();
            stream.extend(bytes);
            prop_assert_eq!(found_in(&stream, packet), found_in(&stream, usize::MAX));
        }
    }
}
