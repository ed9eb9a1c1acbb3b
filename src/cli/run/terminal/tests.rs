use super::super::sample::{Step, screen};
use super::*;

fn of_size() -> Size {
    Size { columns: 40, rows: 5 }
}

fn drawn(terminal: &mut Terminal<Vec<u8>>, screen: &RunScreen, now_ms: u64) -> String {
    terminal.out.clear();
    terminal.draw(screen, now_ms);
    String::from_utf8(terminal.out.clone()).unwrap()
}

#[test]
fn rows_are_drawn_over_the_previous_ones_and_the_terminal_is_restored() {
    let mut terminal = Terminal::new(Vec::new(), of_size, false);
    let running = screen(&[Step::running("a", 1)], &[]);
    let first = drawn(&mut terminal, &running, 1000);
    assert!(
        first.starts_with("\u{1b}[?25l\u{1b}[?7ldebate “Tea?”\u{1b}[K\n")
            && first.ends_with("\u{1b}[J"),
        "{first:?}"
    );
    let again = drawn(&mut terminal, &running, 1100);
    assert!(again.starts_with("\u{1b}[2A\r") && !again.contains("debate"), "{again:?}");
    terminal.out.clear();
    terminal.give_back();
    terminal.give_back();
    assert_eq!(terminal.out, END.as_bytes());
}

#[test]
fn steps_that_leave_are_drawn_once() {
    let mut terminal = Terminal::new(Vec::new(), of_size, true);
    let steps = [
        Step::done("a", 1, "x"),
        Step::done("b", 1, "x"),
        Step::running("c", 1),
        Step::planned("d"),
    ];
    let screen = screen(&steps, &[]);
    let first = drawn(&mut terminal, &screen, 1000);
    assert_eq!((first.matches("Agent a").count(), terminal.gone), (1, 2));
    let again = drawn(&mut terminal, &screen, 1000);
    assert!(!again.contains("Agent a") && again.contains("Agent c"), "{again:?}");
}

#[test]
fn a_narrower_terminal_has_broken_the_rows() {
    let mut terminal = Terminal::new(Vec::new(), of_size, false);
    terminal.drawn = vec![0, 40, 41, 100];
    assert_eq!(
        (terminal.rows_drawn(40), terminal.rows_drawn(100), terminal.rows_drawn(0)),
        (1 + 1 + 2 + 3, 4, 1 + 40 + 41 + 100)
    );
    assert_eq!(places("\u{1b}[1mabc\u{1b}[0m漢"), 5);
}
