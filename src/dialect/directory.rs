//! People and rooms as a dialect may look at them, read only, to answer what only it is asked.

use std::time::Duration;

use crate::name::Name;

/// Somebody who is there.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Person<'a> {
    pub(crate) name: &'a Name,
    /// What stands for them beside their name in IRC: what their client gave, or the word of their dialect.
    pub(crate) user: &'a str,
    /// Their real name, as their client gave it; may be empty.
    pub(crate) real: &'a str,
    /// Why they are away, which may be empty; `None` if they are not.
    pub(crate) away: Option<&'a str>,
    pub(crate) op: bool,
    /// They want to be in no list of all.
    pub(crate) is_hidden: bool,
    /// The room that they are in, if that is to be told to who asks.
    pub(crate) room: Option<&'a str>,
    /// How long nothing was heard of them.
    pub(crate) silent: Duration,
    /// Since when they are there, in seconds since 1970 in UTC.
    pub(crate) since: u64,
}

/// How many there are of what.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Totals {
    pub(crate) people: usize,
    /// Those of them who want to be in no list of all.
    pub(crate) hidden: usize,
    pub(crate) operators: usize,
    /// Connections at the door that say who they are.
    pub(crate) unregistered: usize,
    /// Rooms with people in them and no key.
    pub(crate) rooms: usize,
    /// The most people that there were at a time.
    pub(crate) most: usize,
}

/// What a session may look at.
pub(crate) trait Directory {
    /// Who is called so.
    fn person(&self, name: &str) -> Option<Person<'_>>;

    /// Shows each who is in a room and was told of, until `each` wants no more; gives whether there is such a room that
    /// the session may know of.
    fn each_in(&self, room: &str, each: &mut dyn FnMut(&Person<'_>) -> bool) -> bool;

    /// Shows everybody, until `each` wants no more.
    fn each_person(&self, each: &mut dyn FnMut(&Person<'_>) -> bool);

    /// Shows each room that has people in it and no key, and how many are there, until `each` wants no more.
    fn each_room(&self, each: &mut dyn FnMut(&str, usize) -> bool);

    /// The name of a room, as it is spelled, that the session may know of.
    fn room(&self, name: &str) -> Option<&str>;

    fn totals(&self) -> Totals;

    /// The message of the day.
    fn motd(&self) -> &[String];

    /// Whether what is said in rooms without a key is written.
    fn is_recorded(&self) -> bool;

    /// When the server was started, in seconds since 1970 in UTC.
    fn began(&self) -> u64;
}
