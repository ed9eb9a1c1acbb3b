//! The sequence of messages, case by case.

use super::given::*;
use claviger_domain::orchestration::FailureClass;
use claviger_projections::run_feed::{Batch, FeedError, Outbox, RunFeed};

/// Requested, planned, claimed, step 1 started.
fn begun() -> Stored {
    let mut stored = Stored::default();
    for event in [requested(), planned(&[1, 2]), claimed(1, &[]), started(1, 1)] {
        stored.append(event);
    }
    stored
}

/// A whole run of one step with text "Grüße!".
fn ended() -> Stored {
    let mut stored = begun();
    stored.flush(vec![item(1, 1, 0, "Gr")]);
    stored.flush(vec![item(1, 1, 2, "ü"), item(1, 1, 4, "ße!")]);
    stored.append(completed(1, 1, "Grüße!"));
    stored.append(done());
    stored
}

#[test]
fn without_a_cursor_a_snapshot_comes_first() {
    let mut stored = begun();
    stored.flush(vec![item(1, 1, 0, "Gr")]);
    assert_eq!(stored.from(None), ["4.1.1 snapshot v4 1.1=Gr"]);
    let mut feed = RunFeed::new(None);
    stored.all(&mut feed);
    stored.flush(vec![item(1, 1, 2, "ü")]);
    stored.append(completed(1, 1, "Grü"));
    let said: Vec<_> = stored.all(&mut feed).iter().map(short).collect();
    assert_eq!(said, ["4.2.1 delta 1.1@2 ü", "5.0.1 StepCompleted"]);
}

#[test]
fn with_a_cursor_exactly_the_later_messages_follow() {
    let all = [
        "4.0.1 StepAttemptStarted",
        "4.1.1 delta 1.1@0 Gr",
        "4.2.1 delta 1.1@2 ü",
        "4.2.2 delta 1.1@4 ße!",
        "5.0.1 StepCompleted",
        "6.0.1 RunCompleted",
        "6.0.2 terminal",
    ];
    let cursors = [
        at(3, 0, 1),
        at(4, 0, 1),
        at(4, 1, 1),
        at(4, 2, 1),
        at(4, 2, 2),
        at(5, 0, 1),
        at(6, 0, 1),
        at(6, 0, 2),
    ];
    for (n, after) in cursors.into_iter().enumerate() {
        assert_eq!(ended().from(Some(after)), all[n..], "{after:?}");
    }
}

#[test]
fn an_ended_run_gives_snapshot_and_terminal() {
    let mut feed = RunFeed::new(None);
    let said: Vec<_> = ended().all(&mut feed).iter().map(short).collect();
    assert_eq!(said, ["6.0.1 snapshot v6", "6.0.2 terminal"]);
    assert!(feed.is_done());
}

#[test]
fn the_cursor_of_the_end_completes_at_once() {
    let mut feed = RunFeed::new(Some(at(6, 0, 2)));
    assert_eq!(ended().all(&mut feed), []);
    assert!(feed.is_done());
}

#[test]
fn a_cursor_after_the_end_of_the_run_is_refused() {
    for stored in [begun(), ended()] {
        let mut feed = RunFeed::new(Some(at(9, 0, 1)));
        let batch = stored.read(&feed, 99, 99);
        assert_eq!(feed.take(batch), Err(FeedError::Ahead));
    }
}

#[test]
fn an_event_waits_for_the_rows_it_counts() {
    let stored = ended();
    let mut feed = RunFeed::new(Some(at(4, 0, 1)));
    let early = Batch { events: stored.events.clone(), ..Batch::default() };
    assert_eq!(feed.take(early).unwrap(), []);
    assert!(feed.needs_rows());
    assert_eq!((feed.events_after(), feed.rows_after()), (6, (4, 0)));
    assert_eq!(stored.all(&mut feed).len(), 6);
    assert!(feed.is_done() && !feed.needs_rows());
}

#[test]
fn a_missing_event_is_detected() {
    let stored = ended();
    let mut feed = RunFeed::new(None);
    let batch = Batch { events: stored.events[1..].to_vec(), ..Batch::default() };
    assert_eq!(feed.take(batch), Err(FeedError::OutOfOrder { expected: 1 }));
}

#[test]
fn a_row_out_of_turn_waits_for_the_one_before_it() {
    let mut stored = begun();
    let mut feed = RunFeed::new(Some(at(4, 0, 1)));
    stored.all(&mut feed);
    stored.flush(vec![item(1, 1, 0, "a")]);
    stored.flush(vec![item(1, 1, 1, "b")]);
    let first = stored.rows.remove(&(4, 1)).unwrap();
    assert_eq!(stored.all(&mut feed), [], "the row may still come: no event rules it out");
    stored.rows.insert((4, 1), first);
    assert_eq!(stored.all(&mut feed).len(), 2);
}

#[test]
fn rows_beyond_what_the_next_event_counts_are_void() {
    let mut stored = begun();
    stored.flush(vec![item(1, 1, 0, "kept")]);
    stored.flush(vec![item(1, 1, 4, " zombie's")]);
    stored.append_counting(claimed(2, &[(1, 1, 4)]), 1);
    stored.append(failed(1, 1, FailureClass::Interrupted, 4));
    stored.append(started(1, 2));
    let follows = [
        "5.0.1 RunClaimed",
        "5.0.2 superseded 1.1 keep 4 taken_over",
        "6.0.1 StepAttemptFailed",
        "7.0.1 StepAttemptStarted",
        "7.0.2 superseded 1.1 keep 0 interrupted",
    ];
    assert_eq!(stored.from(Some(at(4, 1, 1))), follows);
    // A reader that saw the void row live continues after it.
    assert_eq!(stored.from(Some(at(4, 2, 1))), follows);
    assert_eq!(stored.from(Some(at(5, 0, 1))), follows[1..]);
    assert_eq!(stored.from(None), ["7.0.2 snapshot v7 1.2="]);
}

#[test]
fn the_text_of_a_void_row_is_cut_off_in_the_partial_text() {
    let mut stored = begun();
    let mut feed = RunFeed::new(None);
    stored.flush(vec![item(1, 1, 0, "kept")]);
    stored.flush(vec![item(1, 1, 4, " zombie's")]);
    stored.all(&mut feed);
    assert_eq!(feed.fold().partial()[0].text, "kept zombie's");
    stored.append_counting(claimed(2, &[(1, 1, 4)]), 1);
    stored.all(&mut feed);
    assert_eq!(feed.fold().partial()[0].text, "kept");
    assert_eq!(feed.fold().kept(), [(step(1), 4)]);
}

#[test]
fn a_new_attempt_voids_the_previous_one_only_if_that_had_text() {
    let mut stored = begun();
    stored.append(failed(1, 1, FailureClass::RateLimit, 0));
    stored.append(started(1, 2));
    stored.flush(vec![item(1, 2, 0, "x")]);
    stored.append(failed(1, 2, FailureClass::Connection, 1));
    stored.append(started(1, 3));
    assert_eq!(
        stored.from(Some(at(5, 0, 1))),
        [
            "6.0.1 StepAttemptStarted",
            "6.1.1 delta 1.2@0 x",
            "7.0.1 StepAttemptFailed",
            "8.0.1 StepAttemptStarted",
            "8.0.2 superseded 1.2 keep 0 connection",
        ]
    );
}

#[test]
fn a_missing_row_gives_a_gap_and_the_step_its_full_text() {
    let mut stored = ended();
    stored.rows.remove(&(4, 1));
    assert_eq!(
        stored.from(Some(at(4, 0, 1))),
        [
            "4.2.gap gap",
            "5.0.1 StepCompleted",
            "5.0.2 gap 1.1=Grüße!",
            "6.0.1 RunCompleted",
            "6.0.2 terminal"
        ]
    );
    // A reader that already has the missing row gets the rest from the full text.
    assert_eq!(stored.from(Some(at(4, 1, 1)))[0], "4.2.gap gap");
}

#[test]
fn expired_text_is_one_gap_with_the_finished_steps() {
    let mut stored = ended();
    stored.events.pop();
    stored.append(started(2, 1));
    stored.flush(vec![item(2, 1, 0, "z")]);
    stored.append(failed(2, 1, FailureClass::Timeout, 1));
    stored.append(started(2, 2));
    stored.flush(vec![item(2, 2, 0, "zwei")]);
    stored.append(completed(2, 2, "zwei"));
    stored.append(done());
    stored.rows.clear();
    let follows = [
        "6.1.gap gap 1.1=Grüße!",
        "7.0.1 StepAttemptFailed",
        "8.0.1 StepAttemptStarted",
        "8.0.2 superseded 2.1 keep 0 timeout",
        "9.0.1 StepCompleted",
        "9.0.2 gap 2.2=zwei",
        "10.0.1 RunCompleted",
        "10.0.2 terminal",
    ];
    assert_eq!(stored.from(Some(at(6, 0, 1))), follows);
    assert_eq!(stored.from(None), ["10.0.1 snapshot v10", "10.0.2 terminal"]);
}

#[test]
fn waiting_text_is_merged() {
    let mut stored = begun();
    stored.append(started(2, 1));
    stored.flush(vec![item(1, 1, 0, "a")]);
    stored.flush(vec![item(1, 1, 1, "b"), item(2, 1, 0, "x")]);
    stored.flush(vec![item(1, 1, 2, "c"), item(2, 1, 1, "y")]);
    stored.append(completed(1, 1, "abc"));
    stored.flush(vec![item(2, 1, 2, "z")]);
    let mut outbox = Outbox::new(100, 100);
    stored
        .all(&mut RunFeed::new(Some(at(5, 0, 1))))
        .into_iter()
        .for_each(|message| outbox.push(message));
    let out: Vec<_> = std::iter::from_fn(|| outbox.pop()).map(|message| short(&message)).collect();
    assert_eq!(
        out,
        [
            "5.2.1 delta 1.1@0 abc",
            "5.3.2 delta 2.1@0 xy",
            "6.0.1 StepCompleted",
            "6.1.1 delta 2.1@2 z"
        ]
    );
    assert!(outbox.is_empty());
}

#[test]
fn a_merged_piece_respects_its_bound_and_an_outbox_reports_when_it_is_full() {
    let mut stored = begun();
    for offset in 0..5 {
        stored.flush(vec![item(1, 1, offset, "a")]);
    }
    let mut outbox = Outbox::new(3, 2);
    stored
        .all(&mut RunFeed::new(Some(at(4, 0, 1))))
        .into_iter()
        .for_each(|message| outbox.push(message));
    assert!(outbox.is_full());
    let out: Vec<_> = std::iter::from_fn(|| outbox.pop()).map(|message| short(&message)).collect();
    assert_eq!(out, ["4.2.1 delta 1.1@0 aa", "4.4.1 delta 1.1@2 aa", "4.5.1 delta 1.1@4 a"]);
}
