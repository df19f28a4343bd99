//! What does not happen every day.

use rustix::io::Errno;

use super::People;
use crate::dialect::Dialect;
use crate::server::network::Wakeup;
use crate::server::simulation::model::Phase;
use crate::server::simulation::network::SimulatedNetwork;
use crate::server::simulation::script::{Item, NAMES};

impl People {
    /// Something that does not happen every day.
    pub(super) fn strike(&mut self, network: &mut SimulatedNetwork) {
        let talkers = self.talkers(network);
        match self.random.within(0..=9) {
            0 if self.random.percent(30) => {
                for client in talkers {
                    if self.random.percent(60) {
                        self.leave(network, client);
                    }
                }
            }
            0..=3 => {
                if let Some(client) = self.anybody(&talkers) {
                    self.leave(network, client);
                }
            }
            4 => {
                if let Some(client) = self.anybody(&talkers) {
                    let tells = self.random.percent(40);
                    self.break_off(network, client, tells);
                }
            }
            5 | 6 => self.pass_name_on(network, &talkers),
            7 => self.fall_out(network, &talkers),
            _ => self.trouble_the_ending(network),
        }
    }

    pub(super) fn anybody(&mut self, among: &[usize]) -> Option<usize> {
        (!among.is_empty()).then(|| self.random.pick(among))
    }

    fn name_of(&self, client: usize) -> Option<&str> {
        let (_, it) = self.model.of_client(client)?;
        Some(&it.name)
    }

    /// One gives up a name, by going or by taking another one, and somebody else takes it in the same turn.
    fn pass_name_on(&mut self, network: &mut SimulatedNetwork, talkers: &[usize]) {
        let holders: Vec<(usize, &'static str)> = talkers
            .iter()
            .filter_map(|client| {
                let held = self.name_of(*client)?;
                let known = NAMES.iter().find(|known| known.0 == held)?;
                Some((*client, known.0))
            })
            .collect();
        if holders.is_empty() {
            return;
        }
        let (holder, name) = self.random.pick(&holders);
        let Some(heir) = self.anybody(talkers).filter(|heir| *heir != holder) else {
            return;
        };
        if self.random.percent(60) {
            self.leave(network, holder);
        } else {
            let other = self.random.pick(&NAMES).0;
            self.send(network, holder, Item::Name(other));
        }
        self.send(network, heir, Item::Name(name));
        for client in [holder, heir] {
            network.deliver(client, usize::MAX);
        }
    }

    /// One wants to hear nothing more of another one, who then says something, to all and to them alone. If it was so
    /// before, the other one goes with a last word, and the one who ignores turns to somebody else.
    fn fall_out(&mut self, network: &mut SimulatedNetwork, talkers: &[usize]) {
        let mut people = talkers.to_vec();
        people.retain(|client| self.all[*client].dialect == Dialect::Telnet);
        let (Some(one), Some(other)) = (self.anybody(&people), self.anybody(&people)) else {
            return;
        };
        let (Some((_, it)), Some(name_of_other)) = (self.model.of_client(one), self.name_of(other))
        else {
            return;
        };
        let name_of_other = name_of_other.to_owned();
        let foes = it.prefs.ignored.iter();
        let foes = foes.filter_map(|foe| self.model.sessions.get(foe));
        let mut foes: Vec<usize> = foes.map(|foe| foe.client).collect();
        foes.retain(|foe| people.contains(foe) && *foe != other);
        let name = it.name.clone();
        let words = self.author.words(&mut self.random);
        if let Some(foe) = self.anybody(&foes) {
            self.send(network, foe, Item::Say(words));
            self.leave(network, foe);
            self.send(network, one, Item::Ignored);
            self.send(network, one, Item::Ignore(name_of_other));
        } else if one != other {
            self.send(network, one, Item::Ignore(name_of_other));
            self.send(network, other, Item::Say(words.clone()));
            self.send(network, other, Item::Tell(name, words));
        }
    }

    /// Those who are ending send more, end or break.
    fn trouble_the_ending(&mut self, network: &mut SimulatedNetwork) {
        let ending = self.model.sessions.values();
        let ending = ending.filter(|it| it.phase != Phase::Open);
        let ending: Vec<usize> = ending.map(|it| it.client).collect();
        for client in ending {
            let connection = &mut network.connections[client];
            if connection.has_ended() || connection.is_broken() {
                continue;
            }
            match self.random.within(0..=5) {
                0 => self.send_dregs(network, client, 70_000),
                1 => self.send_dregs(network, client, 100),
                2 => connection.end_sending(),
                3 => self.break_off(network, client, true),
                _ => {}
            }
        }
    }

    /// Sends bytes that nobody will understand.
    fn send_dregs(&mut self, network: &mut SimulatedNetwork, client: usize, bytes: usize) {
        self.model.typed[client].add_dregs(bytes);
        network.connections[client].send(&vec![b'.'; bytes]);
        network.deliver(client, bytes);
    }

    /// Something goes wrong with the machine.
    pub(super) fn trouble(&mut self, network: &mut SimulatedNetwork) {
        let random = &mut self.random;
        match random.within(0..=6) {
            0 | 1 => {
                let shortages = [Errno::MFILE, Errno::NFILE, Errno::NOMEM, Errno::PERM];
                let ends = network.faults.shortage.is_some();
                network.faults.shortage = (!ends).then(|| random.pick(&shortages));
                let shortage = network.faults.shortage;
                network.trace.note(format_args!("shortage: {shortage:?}"));
            }
            2 => {
                let errors = [
                    Errno::CONNABORTED,
                    Errno::PROTO,
                    Errno::INTR,
                    Errno::NETDOWN,
                ];
                let error = random.pick(&errors);
                network.faults.passing.push_back(error);
            }
            3 => network.faults.registrations += 1,
            4 => {
                network.wall_offset = random.next() % (1 << 34);
                network.hit("leap of the time of day");
            }
            5 => network.signals.push_back(Wakeup::Report),
            _ => network.signals.push_back(Wakeup::Reload),
        }
    }
}
