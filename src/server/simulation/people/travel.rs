//! People who go from room to room.

use super::{People, Role};
use crate::server::simulation::network::SimulatedNetwork;
use crate::server::simulation::script::{Author, Item};

impl People {
    /// Some go somewhere, alone or together.
    pub(super) fn travel(&mut self, network: &mut SimulatedNetwork) {
        let talkers = self.talkers(network);
        match self.random.within(0..=9) {
            0 => self.move_on(network, &talkers),
            1..=4 => {
                if let Some(client) = self.anybody(&talkers) {
                    self.wander(network, client);
                }
            }
            _ => self.visit(network, &talkers),
        }
    }

    /// Most of them go to one room at once: more than ten in one second are told as a sum.
    fn move_on(&mut self, network: &mut SimulatedNetwork, talkers: &[usize]) {
        let there = Author::join(&mut self.random);
        for client in talkers {
            if self.all[*client].role == Role::Talks && self.random.percent(80) {
                self.send(network, *client, there.clone());
                network.deliver(*client, usize::MAX);
            }
        }
    }

    /// One goes through several rooms in one packet, and says something in each.
    fn wander(&mut self, network: &mut SimulatedNetwork, client: usize) {
        for _ in 0..self.random.within(2..=5) {
            let there = Author::join(&mut self.random);
            self.send(network, client, there);
            self.send_words(network, client);
            if self.random.percent(50) {
                self.send(network, client, Item::Leave);
                self.send_words(network, client);
            }
        }
        network.deliver(client, usize::MAX);
    }

    /// One goes where somebody else is, most of the time with the key that the room has, and asks who is there.
    fn visit(&mut self, network: &mut SimulatedNetwork, talkers: &[usize]) {
        let (Some(one), Some(other)) = (self.anybody(talkers), self.anybody(talkers)) else {
            return;
        };
        let Some((number, _)) = self.model.of_client(other) else {
            return;
        };
        let (room, key) = self.model.room_and_key(number);
        let key = if self.random.percent(70) {
            key
        } else {
            Author::key(&mut self.random)
        };
        self.send(network, one, Item::Join(room, key));
        self.send_words(network, one);
        for item in [Item::Who, Item::Rooms] {
            if self.random.percent(50) {
                self.send(network, one, item);
            }
        }
        self.send_words(network, other);
    }
}
