use super::super::sample::{Step, event, message, run, screen};
use super::*;
use serde_json::json;

const PEN: Pen = Pen { size: Size { columns: 72, rows: 12 }, colour: false };

fn rows(screen: &RunScreen, pen: Pen) -> String {
    live(screen, 0, 2500, pen).iter().map(|row| row.trim_end()).collect::<Vec<_>>().join("\n")
        + "\n"
}

#[test]
fn each_step_has_a_row_and_what_runs_shows_its_last_text() {
    let steps = [
        Step::done("a", 1, "First words\nand more"),
        Step::running("b", 2),
        Step::waiting("c", 1, "overloaded"),
        Step::failed("d", "refused"),
        Step::planned("e"),
    ];
    let screen = screen(
        &steps,
        &[(
            "b",
            2,
            "one line\n\nand one that is longer than the terminal is wide, so that it must be broken up",
        )],
    );
    assert_eq!(
        rows(&screen, PEN),
        "\
✓ Agent a  turn, round 1     1.2 s   1,500 tokens  First words and more
⡿ Agent b  turn, round 1     1.5 s     ~22 tokens  attempt 2
  │ one line
  │ and one that is longer than the terminal is wide, so that it must be
  │  broken up
↻ Agent c  turn, round 1                 0 tokens  tried again soon: ov…
✗ Agent d  turn, round 1                 0 tokens  refused
· Agent e  turn, round 1                           planned
⡿ running, 1.5 s, 2 of 5 steps
"
        .replace('⡿', &spinner(2500).to_string())
    );
}

#[test]
fn no_row_is_wider_than_the_terminal_or_controls_it() {
    let evil = "\u{1b}]0;title\u{7}\u{1b}[2J\u{9b}31m\r漢字漢字漢字漢字漢字漢字漢字漢字漢字漢字漢字漢字\t\t\ttext";
    let mut wicked = Step::running("x", 1);
    wicked.0["agent"] = json!(evil);
    wicked.0["purpose"] = json!(evil);
    let mut screen =
        screen(&[Step::done("a", 1, evil), wicked, Step::failed("c", evil)], &[("x", 1, evil)]);
    screen.apply(&event("RunPaused", &json!({ "reason": evil }), None), 2000);
    for columns in [1, 7, 20, 72, 300] {
        for colour in [false, true] {
            let pen = Pen { size: Size { columns, rows: 12 }, colour };
            for row in live(&screen, 0, 2500, pen) {
                let mut plain = row;
                for look in [Look::Bold, Look::Faint, Look::Good, Look::Bad, Look::Odd, Look::Live]
                {
                    plain = plain.replace(look.code(), "");
                }
                let plain = plain.replace("\u{1b}[0m", "");
                assert!(!plain.chars().any(char::is_control), "{plain:?}");
                assert!(width_of(&plain) <= columns, "{columns}: {plain:?}");
            }
        }
    }
}

#[test]
fn without_colour_there_is_no_escape_and_with_it_there_is() {
    let screen = screen(&[Step::done("a", 1, "x")], &[]);
    assert!(!rows(&screen, PEN).contains('\u{1b}'));
    assert!(rows(&screen, Pen { colour: true, ..PEN }).contains("\u{1b}[32m✓"));
}

#[test]
fn steps_leave_a_screen_that_is_too_small_once_they_are_settled() {
    let small = Size { columns: 72, rows: 4 };
    let done = |id| Step::done(id, 1, "x");
    let many = screen(
        &[done("a"), done("b"), done("c"), Step::running("d", 1), Step::planned("e")],
        &[("d", 1, "text")],
    );
    assert_eq!(to_leave(&many, 0, small), 3);
    assert_eq!(to_leave(&many, 2, small), 1);
    assert_eq!(to_leave(&many, 0, PEN.size), 0);
    let stuck = screen(&[Step::running("a", 1), done("b"), done("c"), done("d")], &[]);
    assert_eq!(to_leave(&stuck, 0, small), 0);
    for columns in [1, 72] {
        let pen = Pen { size: Size { columns, rows: 4 }, colour: false };
        assert_eq!(live(&stuck, 0, 2500, pen).len(), 3, "one row is left for the cursor");
    }
}

#[test]
fn the_last_row_shows_the_state_of_the_run() {
    let last = |screen: &RunScreen| live(screen, 0, 2500, PEN).pop().unwrap();
    let mut seen = RunScreen::default();
    assert!(last(&seen).ends_with("waiting for the run"));
    seen = screen(&[], &[]);
    seen.cut_ms = Some(500);
    assert!(last(&seen).ends_with("connection lost, reconnecting… 2.0 s"), "{}", last(&seen));
    seen.cut_ms = None;
    seen.apply(&event("RunPaused", &json!({ "reason": "spend_limit" }), None), 2000);
    assert_eq!(last(&seen), "‖ paused (spend limit): claviger run resume run-1");
    let mut failed = run("FAILED", &[Step::failed("a", "x")]);
    failed["error"] = json!({ "code": "UPSTREAM", "message": "overloaded" });
    failed["costNanoUsd"] = json!(null);
    seen.apply(&message(json!({ "__typename": "Terminal", "cursor": "t", "state": "FAILED", "orchestration": failed })), 3000);
    assert_eq!(
        last(&seen),
        "failed in 1:05 min, 15 tokens in, 2,000 out, cost unknown: overloaded […"
    );
}
