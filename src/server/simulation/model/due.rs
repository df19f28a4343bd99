//! What a session is due and has not taken yet.
//!
//! The model knows every line and the order of the lines, but not the moment at which the hub looks at what the session
//! wants to see: a line that is said while the session begins to ignore its author may still reach it, and the time in
//! front of a line may be that of its saying or of its sending. So a line has variants, of which each is right, and what
//! was taken may lead to several places.

use std::collections::VecDeque;
use std::rc::Rc;

use super::kept::ANY_LETTER;

/// A line for all but its author.
#[derive(Debug)]
pub(crate) struct Public {
    /// Whom it is from, or about.
    pub(crate) about: Option<u64>,
    /// It tells who came or went.
    pub(crate) is_presence: bool,
    /// What a person hears, a program, and a program that watches who comes and goes.
    pub(crate) bytes: [Vec<u8>; 3],
}

/// Whether this is what was due, where one may be the letters of a key that is not known.
fn are_alike(due: &[u8], taken: &[u8]) -> bool {
    let is_alike = |(due, taken): (&u8, &u8)| {
        due == taken || (*due == ANY_LETTER && taken.is_ascii_alphanumeric())
    };
    due.iter().zip(taken).all(is_alike)
}

#[derive(Debug)]
struct Line {
    /// Known to depend on what its hearer wants to see.
    public: Option<Rc<Public>>,
    /// Empty ones for a line that is left out.
    variants: Vec<Vec<u8>>,
}

impl Line {
    fn fewest(&self) -> usize {
        self.variants.iter().map(Vec::len).min().unwrap_or(0)
    }

    fn most(&self) -> usize {
        self.variants.iter().map(Vec::len).max().unwrap_or(0)
    }
}

/// How far what was taken leads: in front of a line, or into one of its variants.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Place {
    line: usize,
    inside: Option<(usize, usize)>,
}

const FRONT: Place = Place {
    line: 0,
    inside: None,
};

#[derive(Debug)]
pub(crate) struct Due {
    lines: VecDeque<Line>,
    places: Vec<Place>,
    /// The least and the most bytes of all lines together.
    fewest: usize,
    most: usize,
}

impl Default for Due {
    fn default() -> Self {
        Self {
            lines: VecDeque::new(),
            places: vec![FRONT],
            fewest: 0,
            most: 0,
        }
    }
}

impl Due {
    pub(crate) fn push(&mut self, bytes: Vec<u8>) {
        if !bytes.is_empty() {
            self.add(None, bytes);
        }
    }

    /// Adds a line that may read in several ways.
    pub(crate) fn push_either(&mut self, ways: Vec<Vec<u8>>) {
        self.fewest += ways.iter().map(Vec::len).min().unwrap_or(0);
        self.most += ways.iter().map(Vec::len).max().unwrap_or(0);
        self.lines.push_back(Line {
            public: None,
            variants: ways,
        });
    }

    /// Adds a line for all, as its hearer wants to see it now.
    pub(crate) fn push_public(&mut self, public: &Rc<Public>, shown: Vec<u8>) {
        self.add(Some(Rc::clone(public)), shown);
    }

    fn add(&mut self, public: Option<Rc<Public>>, bytes: Vec<u8>) {
        self.fewest += bytes.len();
        self.most += bytes.len();
        let variants = vec![bytes];
        self.lines.push_back(Line { public, variants });
    }

    /// Lets the lines for all also be seen in this way.
    pub(crate) fn see(&mut self, show: impl Fn(&Public) -> Vec<u8>) {
        for line in &mut self.lines {
            let Some(shown) = line.public.as_deref().map(&show) else {
                continue;
            };
            if !line.variants.contains(&shown) {
                self.fewest -= line.fewest();
                self.most -= line.most();
                line.variants.push(shown);
                self.fewest += line.fewest();
                self.most += line.most();
            }
        }
    }

    /// What may or may not be told, and was not, is not told any more.
    pub(crate) fn forget_doubts(&mut self) {
        for (number, line) in self.lines.iter_mut().enumerate() {
            let is_begun = |place: &Place| place.line == number && place.inside.is_some();
            let is_in_doubt = line.public.is_none() && line.variants.len() > 1;
            if is_in_doubt && line.fewest() == 0 && !self.places.iter().any(is_begun) {
                self.most -= line.most();
                line.variants = vec![Vec::new()];
            }
        }
    }

    pub(crate) fn clear(&mut self) {
        *self = Self::default();
    }

    /// The least and the most bytes that it may still be due.
    pub(crate) fn range(&self) -> (usize, usize) {
        let left = |place: &Place| {
            let before = self.lines.iter().take(place.line);
            let (mut fewest, mut most) = (self.fewest, self.most);
            for line in before {
                fewest -= line.fewest();
                most -= line.most();
            }
            if let Some((variant, offset)) = place.inside {
                let line = &self.lines[place.line];
                let rest = line.variants[variant].len() - offset;
                fewest = fewest - line.fewest() + rest;
                most = most - line.most() + rest;
            }
            (fewest, most)
        };
        let ranges = self.places.iter().map(left);
        let ranges = ranges.reduce(|one, other| (one.0.min(other.0), one.1.max(other.1)));
        ranges.unwrap_or((0, 0))
    }

    /// All of it was looked at by the hub: what the session does not want to see now is gone for good.
    pub(crate) fn settle(&mut self) {
        if self.range() == (0, 0) {
            return self.clear();
        }
        for line in &mut self.lines {
            line.public = None;
        }
    }

    /// Takes off what was taken; gives an error if that was not the beginning of what is due.
    pub(crate) fn take(&mut self, taken: &[u8]) -> Result<(), String> {
        if taken.is_empty() {
            return Ok(());
        }
        let mut places = Vec::new();
        for place in &self.places {
            self.follow(*place, taken, &mut places);
        }
        if places.is_empty() {
            let due = self.lines.iter().take(40).map(|line| &line.variants);
            let due: Vec<Vec<_>> = due
                .map(|them| them.iter().map(|it| String::from_utf8_lossy(it)).collect())
                .collect();
            let taken = String::from_utf8_lossy(taken);
            let places = &self.places;
            return Err(format!(
                "got\n{taken:?}\nbut at {places:?} was due\n{due:?}"
            ));
        }
        let heard = places.iter().map(|place| place.line).min().unwrap_or(0);
        for line in self.lines.drain(..heard) {
            self.fewest -= line.fewest();
            self.most -= line.most();
        }
        for place in &mut places {
            place.line -= heard;
        }
        self.places = places;
        Ok(())
    }

    /// Adds the places to which `taken` leads from `place`.
    fn follow(&self, mut place: Place, mut taken: &[u8], places: &mut Vec<Place>) {
        loop {
            if let Some((variant, offset)) = place.inside {
                let rest = &self.lines[place.line].variants[variant][offset..];
                let step = rest.len().min(taken.len());
                if !are_alike(&rest[..step], &taken[..step]) {
                    return;
                }
                taken = &taken[step..];
                place.inside = Some((variant, offset + step));
                if step == rest.len() {
                    place = Place {
                        line: place.line + 1,
                        inside: None,
                    };
                }
            }
            if taken.is_empty() {
                if !places.contains(&place) {
                    places.push(place);
                }
                return;
            }
            if place.inside.is_some() {
                continue;
            }
            let Some(line) = self.lines.get(place.line) else {
                return;
            };
            let next = |(variant, bytes): (usize, &Vec<u8>)| Place {
                line: place.line + usize::from(bytes.is_empty()),
                inside: (!bytes.is_empty()).then_some((variant, 0)),
            };
            let mut ways = line.variants.iter().enumerate().map(next);
            let first = ways.next();
            for way in ways {
                self.follow(way, taken, places);
            }
            place = first.expect("a line has a variant");
        }
    }
}
