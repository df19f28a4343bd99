//! The chat itself: sessions, names, the room and what everybody is to hear.
