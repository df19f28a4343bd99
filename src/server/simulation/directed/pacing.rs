//! A crowded room under load.

use super::*;
use crate::rate::Rate;

const CROWD: usize = 200;
/// What one write takes; so to tell everybody takes 8 ms.
const WRITE_COST: Duration = Duration::from_micros(40);
const ROUND: Duration = Duration::from_millis(8);

/// A room of which it is known how long it takes to tell everybody, and where all was quiet for a while.
fn crowded(limits: Limits) -> (Bench, Vec<usize>) {
    let mut bench = Bench::paced(limits, ADMISSION, Some(ms(100)));
    let crowd: Vec<usize> = (0..CROWD).map(|_| bench.knock()).collect();
    bench.settle();
    bench.network().write_cost = WRITE_COST;
    bench.send(crowd[0], "hello\n");
    bench.pass(ms(1000));
    for client in &crowd {
        assert!(bench.screen(*client).contains("Welcome"));
    }
    (bench, crowd)
}

/// The same just after lines were told, so that the next one has to be paid for.
fn busy() -> (Bench, Vec<usize>) {
    let (mut bench, crowd) = crowded(LIMITS);
    spend(&mut bench, crowd[0], &crowd);
    (bench, crowd)
}

/// Somebody talks until a line is not with all in its turn.
fn spend(bench: &mut Bench, talker: usize, crowd: &[usize]) {
    for _ in 0..10 {
        bench.send(talker, "a line\n");
        bench.turn();
        if who_hears(bench, crowd).len() < CROWD / 2 {
            return;
        }
    }
    panic!("nothing was paced");
}

/// Who of the crowd has heard something since the last look.
fn who_hears(bench: &mut Bench, crowd: &[usize]) -> Vec<usize> {
    let hears = |client: &usize| !bench.screen(*client).is_empty();
    crowd.iter().copied().filter(hears).collect()
}

#[test]
fn a_line_in_a_quiet_room_is_with_everybody_in_its_turn() {
    let (mut bench, crowd) = crowded(LIMITS);
    for _ in 0..3 {
        bench.send(crowd[0], "a line\n");
        bench.turn();
        assert_eq!(who_hears(&mut bench, &crowd), crowd[1..]);
        bench.pass(ms(200));
    }
}

#[test]
fn a_room_under_load_is_told_in_steps_and_others_are_answered_in_between() {
    let (mut bench, crowd) = busy();
    let mut steps = 0;
    for line in 0..30 {
        bench.send(crowd[0], format!("line {line}\n"));
        bench.send(crowd[1], "/who\n");
        bench.turn();
        assert!(bench.screen(crowd[1]).contains(" here: "), "at once");
        let told = who_hears(&mut bench, &crowd[2..]).len();
        assert!(told < CROWD / 2, "{told} in one turn");
        steps += usize::from(told > 0);
        bench.server.clock.pass(ms(5));
    }
    assert!(steps > 5);
}

#[test]
fn all_are_told_the_same_whoever_comes_and_goes_in_the_middle_of_a_round() {
    let (mut bench, mut crowd) = crowded(LIMITS);
    let mut screens = vec![String::new(); CROWD];
    for line in 0..100 {
        bench.send(crowd[0], format!("line {line}\n"));
        bench.pass(ms(3));
        // One who has been told, or not yet; and somebody new.
        let leaves = crowd.swap_remove(CROWD / 2 + line % 90);
        screens.swap_remove(CROWD / 2 + line % 90);
        bench.end(leaves);
        crowd.push(bench.knock());
        screens.push(String::new());
        for (screen, client) in screens.iter_mut().zip(&crowd).take(CROWD / 2) {
            screen.push_str(&bench.screen(*client));
        }
    }
    bench.pass(ms(1000));
    for (screen, client) in screens.iter_mut().zip(&crowd).take(CROWD / 2).skip(1) {
        screen.push_str(&bench.screen(*client));
        let said = screen.lines().filter_map(|line| line.split_once("> line "));
        let numbers: Vec<usize> = said
            .map(|(_, number)| number.parse().expect("it"))
            .collect();
        assert!(numbers.iter().copied().eq(0..100), "{numbers:?}");
    }
}

#[test]
fn a_stop_in_the_middle_of_a_round_waits_for_nothing() {
    let (mut bench, crowd) = crowded(LIMITS);
    let lines = ["first", "second", "third", "fourth", "fifth", "sixth"];
    for line in lines {
        bench.send(crowd[0], format!("the {line} line\n"));
        bench.turn();
    }
    let mut screens: Vec<String> = crowd[1..].iter().map(|it| bench.screen(*it)).collect();
    let unheard = screens.iter().filter(|it| !it.contains("sixth")).count();
    assert!(
        unheard > CROWD / 2,
        "{unheard} have not heard the sixth line"
    );
    bench.network().signals.push_back(Wakeup::Stop);
    bench.turn();
    for (screen, client) in screens.iter_mut().zip(&crowd[1..]) {
        screen.push_str(&bench.screen(*client));
        let heard: Vec<&str> = screen.lines().collect();
        let said = lines.map(|line| format!("<guest1> the {line} line"));
        let farewell = "-- goodbye: the server is going down".to_owned();
        let expected: Vec<String> = said.into_iter().chain([farewell]).collect();
        assert_eq!(heard, expected);
    }
}

#[test]
fn a_full_feed_is_told_at_once() {
    let (mut bench, crowd) = busy();
    let line = [&[b'x'; 1000], b"\n".as_slice()].concat();
    bench.send(crowd[0], line.repeat(60));
    bench.send(crowd[1], line.repeat(10));
    bench.turn();
    assert_eq!(who_hears(&mut bench, &crowd).len(), CROWD);
}

#[test]
fn a_storm_of_newcomers_is_no_reason_to_tell_the_room_more_often() {
    let limits = Limits {
        history_lines: 20,
        ..LIMITS
    };
    let (mut bench, crowd) = crowded(limits);
    for _ in 0..20 {
        bench.send(crowd[0], format!("{}\n", "x".repeat(500)));
        bench.pass(ms(100));
    }
    who_hears(&mut bench, &crowd);
    let began_at = bench.now();
    let (mut turns, mut rounds) = (0, 0);
    while bench.since(began_at) < 20 * ROUND {
        // What they are told alone is more than the feed may hold.
        for _ in 0..10 {
            bench.knock();
        }
        bench.send(crowd[0], "a line\n");
        bench.turn();
        turns += 1;
        rounds += usize::from(!bench.screen(crowd[CROWD / 2]).is_empty());
    }
    assert!(turns > 30, "{turns}");
    assert!(rounds <= 20, "{rounds} rounds in {turns} turns");
}

#[test]
fn who_leaves_seldom_leaves_alone_so_those_who_stay_are_told_when_all_have_gone() {
    let (mut bench, crowd) = crowded(LIMITS);
    for client in &crowd {
        bench.send(*client, format!("/name n{client}\n"));
        bench.pass(ms(300));
    }
    bench.pass(ms(2000));
    who_hears(&mut bench, &crowd);
    let (leavers, stayers) = crowd.split_at(5);
    for client in leavers {
        bench.end(*client);
        bench.pass(ms(50));
        assert!(who_hears(&mut bench, stayers).is_empty(), "too soon");
    }
    bench.pass(ms(100));
    assert_eq!(who_hears(&mut bench, stayers), stayers);
}

#[test]
fn who_talks_with_others_does_not_wait_for_a_crowd_that_only_listens() {
    let line_rate = Rate {
        per_second: 10,
        burst: 40,
    };
    let limits = Limits {
        line_rate,
        ..LIMITS
    };
    let (mut bench, crowd) = crowded(limits);
    bench.network().write_cost = 10 * WRITE_COST;
    // Those who were there first are told last. Two of them talk, and one says much more than they do.
    let [ann, bob, loud, ..] = crowd[..] else {
        unreachable!()
    };
    for client in [ann, bob, ann, bob] {
        bench.send(client, "hello\n");
        bench.pass(ms(2000));
    }
    bench.send(loud, "loud\n".repeat(25));
    bench.pass(ms(100));
    spend(&mut bench, loud, &crowd);
    bench.send(ann, "how are you?\n");
    let mut turns = 0;
    while !bench.screen(bob).contains("how are you?") {
        bench.turn();
        turns += 1;
        assert!(turns < 100, "nobody is told");
    }
    let others: Vec<usize> = crowd[2..].to_vec();
    let told = |bench: &mut Bench, client: usize| bench.screen(client).contains("how are you?");
    let before = others.iter().filter(|it| told(&mut bench, **it)).count();
    assert!(before < CROWD / 2, "{before} were told before them");
    assert!(!told(&mut bench, loud), "it is one of those");
    bench.pass(ms(2000));
    let after = others.iter().filter(|it| told(&mut bench, **it)).count();
    assert_eq!(before + after, others.len());
}

/// Nobody knows before how long a first line, a long one after short ones, or those with an editor take.
#[test]
fn f119_a_round_that_takes_longer_than_the_last_ones_is_told_in_several_turns() {
    let (mut bench, crowd) = crowded(LIMITS);
    bench.network().write_cost = 10 * WRITE_COST;
    bench.send(crowd[0], "a line\n");
    let mut turns = Vec::new();
    while turns.iter().sum::<usize>() < CROWD - 1 {
        bench.turn();
        turns.push(who_hears(&mut bench, &crowd).len());
        for client in &crowd {
            bench.screen(*client);
        }
        assert!(turns.len() < CROWD, "{turns:?}");
    }
    // Ten milliseconds are 25 of them, and the clock is looked at for every sixteenth.
    assert!(turns.iter().all(|told| *told <= 25 + 16), "{turns:?}");
}
