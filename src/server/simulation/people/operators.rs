//! Operators: they moderate, ask for lists, do not read, and break off.

use std::net::{Ipv4Addr, SocketAddr};

use super::{People, Person, Role};
use crate::dialect::Dialect;
use crate::server::simulation::network::SimulatedNetwork;
use crate::server::simulation::script::orders::{ChatOrder, Order, Whom};
use crate::server::simulation::script::typed::Typed;
use crate::server::simulation::script::{any_name, Item};
use crate::server::simulation::OPERATORS;

impl People {
    /// The operators who may still send something.
    pub(super) fn operators(&self, network: &SimulatedNetwork) -> Vec<usize> {
        let is_there = |client: &usize| {
            let connection = &network.connections[*client];
            self.all[*client].role == Role::Operates
                && self.model.operators.is_there(*client)
                && !connection.has_ended()
                && !connection.is_over()
                && connection.end.is_none()
        };
        (0..self.all.len()).filter(is_there).collect()
    }

    /// Operators come, do something, and go.
    pub(super) fn moderate(&mut self, network: &mut SimulatedNetwork) {
        let operators = self.operators(network);
        match self.random.within(0..=19) {
            0 => {
                for _ in 0..9 {
                    self.connect_operator(network);
                }
            }
            1..=4 => self.connect_operator(network),
            5..=6 => {
                if let Some(client) = self.anybody(&operators) {
                    self.let_operator_go(network, client);
                }
            }
            7 => {
                if let Some(client) = self.anybody(&operators) {
                    let lists = self.random.within(1..=200);
                    for _ in 0..lists {
                        self.order(network, client, Order::list_sessions());
                    }
                }
            }
            8..=10 => self.strike_down(network, &operators),
            11..=12 => self.moderate_in_chat(network, &operators),
            _ => {
                if let Some(client) = self.anybody(&operators) {
                    for _ in 0..self.random.within(1..=4) {
                        let order = self.any_order();
                        self.order(network, client, order);
                    }
                }
            }
        }
    }

    fn any_order(&mut self) -> Order {
        let words = self.author.words(&mut self.random);
        let (opened, rules) = (self.model.opened, self.model.rules.last);
        Order::any(words, opened, rules, &mut self.random)
    }

    /// Somebody who is just saying much is muted, banned or kicked, and goes on.
    fn strike_down(&mut self, network: &mut SimulatedNetwork, operators: &[usize]) {
        let talkers = self.talkers(network);
        let (Some(operator), Some(client)) = (self.anybody(operators), self.anybody(&talkers))
        else {
            return;
        };
        let Some((number, _)) = self.model.of_client(client) else {
            return;
        };
        let words = self.author.words(&mut self.random);
        let whom = Whom::Id(number);
        let order = match self.random.within(0..=3) {
            0 => Order::Kick(whom, words),
            1 => Order::ban(whom, words, &mut self.random),
            _ => Order::mute(whom, words, &mut self.random),
        };
        let before = self.random.within(0..=30);
        self.say_much(network, client, before);
        network.deliver(client, usize::MAX);
        self.order(network, operator, order);
        network.deliver(operator, usize::MAX);
        self.say_much(network, client, 3);
    }

    /// Somebody whom an operator lets moderate does so, or somebody tries who may not. They go on, and so do those whom
    /// they meant.
    fn moderate_in_chat(&mut self, network: &mut SimulatedNetwork, operators: &[usize]) {
        let mut talkers = self.talkers(network);
        talkers.retain(|client| self.all[*client].dialect == Dialect::Telnet);
        let may = |client: &usize| {
            let held = self.model.of_client(*client);
            held.is_some_and(|(_, it)| it.moderates)
        };
        let moderators: Vec<usize> = talkers.iter().copied().filter(may).collect();
        let Some(client) = self
            .anybody(&moderators)
            .filter(|_| self.random.percent(90))
            .or_else(|| self.anybody(&talkers))
        else {
            return;
        };
        if moderators.is_empty() {
            if let (Some(operator), Some((number, _))) =
                (self.anybody(operators), self.model.of_client(client))
            {
                self.order(network, operator, Order::Op(Whom::Id(number)));
                network.deliver(operator, usize::MAX);
            }
        }
        for _ in 0..self.random.within(1..=3) {
            // Most likely somebody who is there.
            let meant = self.anybody(&talkers).filter(|_| self.random.percent(80));
            let meant = meant.and_then(|meant| self.model.of_client(meant));
            let name = match meant {
                Some((_, it)) => it.name.clone(),
                None => any_name(self.model.opened, &mut self.random),
            };
            let words = self.author.words(&mut self.random);
            let order = ChatOrder::any(name, words, &mut self.random);
            self.send(network, client, Item::Order(order));
            self.send_words(network, client);
        }
        network.deliver(client, usize::MAX);
    }

    fn connect_operator(&mut self, network: &mut SimulatedNetwork) {
        let is_slow = self.random.percent(40);
        let window = is_slow.then(|| self.random.pick(&[100, 1000, 4000]));
        let from = SocketAddr::from((Ipv4Addr::LOCALHOST, 1));
        let client = network.connect(OPERATORS, from, window);
        self.all.push(Person {
            dialect: Dialect::Telnet,
            never_reads: client.is_multiple_of(3),
            role: Role::Operates,
            is_flooding: false,
            flooded: 0,
        });
        self.model.typed.push(Typed::default());
        self.order(network, client, Order::As(client));
    }

    fn order(&mut self, network: &mut SimulatedNetwork, client: usize, order: Order) {
        network
            .trace
            .note(format_args!("{client} orders {order:?}"));
        let line = order.spell() + "\n";
        network.connections[client].send(line.as_bytes());
        self.model.operators.send(client, order);
    }

    /// An operator ends, breaks off in the middle of a line or of an answer, or stops there and stays.
    fn let_operator_go(&mut self, network: &mut SimulatedNetwork, client: usize) {
        if self.random.percent(50) {
            return network.connections[client].end_sending();
        }
        if self.random.percent(50) {
            self.order(network, client, Order::list_sessions());
        }
        let half = Order::Half.spell();
        network.connections[client].send(half.as_bytes());
        network.deliver(client, usize::MAX);
        if self.random.percent(70) {
            network.reset(client, self.random.percent(50));
        } else {
            // What it sends from now on would go on with that line.
            self.model.operators.fall_silent(client);
        }
    }
}
