//! The program's commands, as its help lists them.

use crate::harness::program::Home;

/// Every command without commands below it, as it is typed after the program's name.
pub(super) fn commands(home: &Home) -> Vec<String> {
    let mut found = Vec::new();
    collect(home, &mut Vec::new(), &mut found);
    found
}

fn collect(home: &Home, path: &mut Vec<String>, found: &mut Vec<String>) {
    let words: Vec<&str> = path.iter().map(String::as_str).chain(["--help"]).collect();
    let help = home.run(&words).assert_code(0).stdout.clone();
    let below = help.lines().skip_while(|line| *line != "Commands:").skip(1);
    let names: Vec<String> = below
        .take_while(|line| !line.is_empty())
        .filter(|line| line.starts_with("  ") && !line.starts_with("   "))
        .filter_map(|line| line.split_whitespace().next().map(str::to_owned))
        .filter(|name| name != "help")
        .collect();
    if names.is_empty() {
        found.push(path.join(" "));
    }
    for name in names {
        path.push(name);
        collect(home, path, found);
        path.pop();
    }
}
