//! A browser's socket, spoken by a library that is not ours.

use std::net::{SocketAddr, TcpStream};

use serde_json::Value;
use tungstenite::client::IntoClientRequest;
use tungstenite::protocol::frame::coding::CloseCode;
use tungstenite::{Error, Message, WebSocket};

use super::DEADLINE;

/// A page's connection.
pub(crate) struct Browser {
    socket: WebSocket<TcpStream>,
}

/// How a socket could not be opened: the status and the text of the answer.
pub(crate) type Refused = (u16, String);

impl Browser {
    /// Opens a socket with this query, as a page does that was served there.
    pub(crate) fn open(
        to: SocketAddr,
        query: &str,
        fields: &[(&str, &str)],
    ) -> Result<Self, Refused> {
        let url = format!("ws://{to}/ws{query}");
        let mut request = url.into_client_request().expect("an address");
        for (name, value) in fields {
            let name: tungstenite::http::HeaderName = name.parse().expect("the name of a field");
            request
                .headers_mut()
                .insert(name, value.parse().expect("its value"));
        }
        let stream = TcpStream::connect(to).expect("the server listens");
        stream
            .set_read_timeout(Some(DEADLINE))
            .expect("a TCP socket");
        match tungstenite::client(request, stream) {
            Ok((socket, _)) => Ok(Self { socket }),
            Err(tungstenite::HandshakeError::Failure(Error::Http(answer))) => {
                let body = answer.body().clone().unwrap_or_default();
                Err((
                    answer.status().as_u16(),
                    String::from_utf8_lossy(&body).into_owned(),
                ))
            }
            Err(error) => panic!("{error}"),
        }
    }

    /// The connection itself.
    pub(crate) fn stream(&self) -> &TcpStream {
        self.socket.get_ref()
    }

    /// Sends what somebody types.
    #[track_caller]
    pub(crate) fn say(&mut self, line: &str) {
        self.send(Message::text(line));
    }

    #[track_caller]
    pub(crate) fn send(&mut self, message: Message) {
        self.socket.send(message).expect("the server listens");
    }

    /// Reads one object.
    #[track_caller]
    pub(crate) fn read(&mut self) -> Value {
        loop {
            match self.socket.read() {
                Ok(Message::Text(text)) => {
                    assert!(!text.contains('<'), "{text}");
                    return serde_json::from_str(&text).expect("an object");
                }
                Ok(Message::Ping(_)) => {}
                other => panic!("{other:?}"),
            }
        }
    }

    /// Reads this very object next, which is text as it is sent.
    #[track_caller]
    pub(crate) fn expect(&mut self, object: &str) {
        assert_eq!(
            self.read(),
            serde_json::from_str::<Value>(object).expect("an object")
        );
    }

    /// Reads objects until one is of this kind.
    #[track_caller]
    pub(crate) fn skip_until(&mut self, kind: &str) -> Value {
        loop {
            let object = self.read();
            if object["t"] == kind {
                return object;
            }
        }
    }

    /// Reads the close frame next; gives its code.
    #[track_caller]
    pub(crate) fn expect_close(&mut self) -> u16 {
        loop {
            match self.socket.read() {
                Ok(Message::Close(frame)) => {
                    let code = frame.map_or(CloseCode::Status, |frame| frame.code);
                    return code.into();
                }
                Ok(Message::Ping(_)) => {}
                other => panic!("{other:?}"),
            }
        }
    }
}
