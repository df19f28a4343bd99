//! People who keep their names, and those who come for names that are kept.

use super::People;
use crate::server::simulation::network::SimulatedNetwork;
use crate::server::simulation::script::{Author, Item, NAMES};

impl People {
    /// Somebody keeps a name, or wants one that is kept.
    pub(super) fn claim(&mut self, network: &mut SimulatedNetwork) {
        let talkers = self.talkers(network);
        let Some(client) = self.anybody(&talkers) else {
            return;
        };
        if self.random.percent(5) {
            return self.hoard(network, &talkers);
        }
        let keys = self.model.keys();
        if keys.is_empty() || self.random.percent(30) {
            let name = Author::name(&mut self.random);
            self.send(network, client, name);
            self.send(network, client, Item::Keep);
            return;
        }
        // The latest keys are most likely not void.
        let latest = keys.len().min(4);
        let (name, key) = self.random.pick(&keys[keys.len() - latest..]);
        let alike = NAMES.iter().find(|known| known.0 == name);
        let class = alike.expect("a chosen name").1;
        let mut alike: Vec<&str> = NAMES.iter().map(|known| known.0).collect();
        // One in four is for another name.
        if self.random.percent(75) {
            alike.retain(|name| NAMES.contains(&(*name, class)));
        }
        let name = self.random.pick(&alike);
        let item = match self.random.within(0..=3) {
            0 => Item::Name(name),
            _ => Item::TakeKept(name, self.spell_key(&key)),
        };
        self.send(network, client, item);
        match self.random.within(0..=5) {
            0 => self.send(network, client, Item::Unkeep),
            1 => self.send(network, client, Item::Keep),
            _ => self.send_words(network, client),
        }
        network.deliver(client, usize::MAX);
    }

    /// Many want to keep a name at once: there are few from one address who may.
    fn hoard(&mut self, network: &mut SimulatedNetwork, talkers: &[usize]) {
        for client in talkers {
            for _ in 0..2 {
                let name = Author::name(&mut self.random);
                self.send(network, *client, name);
                self.send(network, *client, Item::Keep);
            }
        }
    }

    /// A key as somebody may type it.
    fn spell_key(&mut self, key: &str) -> String {
        match self.random.within(0..=4) {
            0 => key.to_uppercase(),
            1 => key.replace('-', ""),
            2 => key.replace('0', "O").replace('1', "l"),
            _ => key.to_owned(),
        }
    }
}
