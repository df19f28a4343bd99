//! Where the engine is that several servers share a chat through: the values of `relay`.

use std::fmt;
use std::path::PathBuf;
use std::str::FromStr;

use super::listen::Place;

const REDIS: &str = "redis://";
#[cfg(feature = "tls")]
const REDIS_TLS: &str = "rediss://";
const REDIS_UNIX: &str = "redis-unix://";
const SENTINEL: &str = "sentinel://";

/// The port of the engine where none is given, and that of a sentinel.
const REDIS_PORT: &str = ":6379";
const SENTINEL_PORT: &str = ":26379";

/// At most so many sentinels are asked.
const SENTINELS_MAX: usize = 16;

/// Where the engine is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Engine {
    /// There.
    Redis(Place),
    /// There, in TLS.
    #[cfg(feature = "tls")]
    Secured(Place),
    /// On this machine.
    Unix(PathBuf),
    /// Where these sentinels say that the service is.
    Sentinels {
        /// Whom to ask.
        places: Vec<Place>,
        /// What they call it.
        service: Box<str>,
    },
}

impl fmt::Display for Engine {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Redis(place) => write!(f, "{REDIS}{place}"),
            #[cfg(feature = "tls")]
            Self::Secured(place) => write!(f, "{REDIS_TLS}{place}"),
            Self::Unix(path) => write!(f, "{REDIS_UNIX}{}", path.display()),
            Self::Sentinels { places, service } => {
                let places: Vec<String> = places.iter().map(Place::to_string).collect();
                write!(f, "{SENTINEL}{}/{service}", places.join(","))
            }
        }
    }
}

impl FromStr for Engine {
    type Err = ();

    fn from_str(text: &str) -> Result<Self, ()> {
        if let Some(place) = text.strip_prefix(REDIS) {
            return Ok(Self::Redis(parse_place(place, REDIS_PORT)?));
        }
        #[cfg(feature = "tls")]
        if let Some(place) = text.strip_prefix(REDIS_TLS) {
            return Ok(Self::Secured(parse_place(place, REDIS_PORT)?));
        }
        if let Some(path) = text.strip_prefix(REDIS_UNIX) {
            let is_path = path.starts_with('/') && path.len() <= super::listen::PATH_BYTES_MAX;
            return is_path.then(|| Self::Unix(path.into())).ok_or(());
        }
        let rest = text.strip_prefix(SENTINEL).ok_or(())?;
        let (places, service) = rest.split_once('/').ok_or(())?;
        let places = places
            .split(',')
            .map(|place| parse_place(place, SENTINEL_PORT));
        let places = places.collect::<Result<Vec<Place>, ()>>()?;
        let is_service = !service.is_empty() && service.bytes().all(|byte| byte.is_ascii_graphic());
        if !is_service || service.contains('/') || places.len() > SENTINELS_MAX {
            return Err(());
        }
        Ok(Self::Sentinels {
            places,
            service: service.into(),
        })
    }
}

/// A host and a port, which may be left out.
fn parse_place(text: &str, port: &str) -> Result<Place, ()> {
    let has_port = |text: &str| match text.rsplit_once(']') {
        Some((_, behind)) => behind.starts_with(':'),
        None => text.contains(':'),
    };
    let place = if has_port(text) {
        text.parse()
    } else {
        format!("{text}{port}").parse()
    };
    let place: Place = place.map_err(|_| ())?;
    if place.port == 0 {
        return Err(());
    }
    Ok(place)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_is_told_as_it_is_read() {
        for (text, told) in [
            ("redis://127.0.0.1:6379", ""),
            ("redis://[::1]:7", ""),
            ("redis://engine", "redis://engine:6379"),
            #[cfg(feature = "tls")]
            ("rediss://engine", "rediss://engine:6379"),
            ("redis-unix:///run/redis/redis.sock", ""),
            ("sentinel://a:1,b:2/chat", ""),
            ("sentinel://a/chat", "sentinel://a:26379/chat"),
        ] {
            let engine: Engine = text.parse().unwrap();
            let told = if told.is_empty() { text } else { told };
            assert_eq!(engine.to_string(), told);
            assert_eq!(told.parse(), Ok(engine));
        }
        for text in [
            "",
            "redis",
            "redis://",
            "redis://a:0",
            "redis://a:99999",
            "redis://a:1/0",
            "rediss://",
            "redis-unix://relative",
            "redis-unix://",
            "sentinel://a:1",
            "sentinel://a:1/",
            "sentinel:///chat",
            "sentinel://a:1,/chat",
            "sentinel://a:1/x/y",
        ] {
            assert_eq!(text.parse::<Engine>(), Err(()), "{text:?}");
        }
    }
}
