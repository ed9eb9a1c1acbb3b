#!/usr/bin/perl
# Plays a claude program that was taken over. The prompt's lines say what it does with system calls of its own:
#   call NAME NUMBER ARGUMENT…   makes the call; an argument is a number, or a text after `s:`. The answer has NAME=ERRNO, 0 for success.
#   scatter NUMBER               starts processes that leave its group in every way, announced in the pipe `alive`, and waits. NUMBER is that of `clone`.
#   scatter-and-end NUMBER       the same, but it answers and ends.
#   flee                         starts processes that fork and end, again and again, announced in the pipe `alive`, and waits.
use strict;
use warnings;
use POSIX ();

$| = 1;
my $prompt = join '', <STDIN>;
$prompt =~ s/[^\x00-\x7f]//g;
my $own = $ENV{CLAUDE_CONFIG_DIR};

sub event { print qq({"event":$_[0],"type":"stream_event"}\n) }

sub say_half {
    event('{"type":"message_start","message":{"id":"msg_1","usage":{"input_tokens":7,"output_tokens":1}}}');
    event('{"type":"content_block_start","index":0,"content_block":{"type":"text","text":""}}');
    event(qq({"type":"content_block_delta","index":0,"delta":{"type":"text_delta","text":"$_[0]"}}));
}

sub answer {
    say_half($_[0]);
    event('{"type":"content_block_stop","index":0}');
    event('{"type":"message_delta","delta":{"stop_reason":"end_turn"},"usage":{"output_tokens":5}}');
    event('{"type":"message_stop"}');
    print qq({"subtype":"success","is_error":false,"result":"","usage":{"input_tokens":999},"type":"result"}\n);
}

sub made {
    my ($name, $number, @arguments) = @_;
    my @given = map { my $it = $_; $it =~ s/^s:// ? "$it" . "\0" x 64 : $it + 0 } @arguments;
    $! = 0;
    my $result = syscall($number + 0, @given);
    return "$name=" . ($result == -1 ? $! + 0 : 0);
}

# Whoever lives holds the pipe open: its reader learns when nobody does any more.
my ($alive, $here, $told);

sub stay {
    syswrite $alive, "$_[0]\n";
    syswrite $told, '.';
    sleep 600 while 1;
}

sub child (&) {
    my $pid = fork;
    die 'no process' if !defined $pid;
    if (!$pid) { $_[0]->(); POSIX::_exit(0) }
}

sub scatter {
    my ($clone) = @_;
    open $alive, '>', "$own/alive" or die;
    pipe $here, $told or die;
    my $supervisor = getppid;
    my $parents = syscall($clone + 0, 0x8011, 0, 0, 0, 0);
    stay('of the parent') if !$parents;
    child { setpgrp 0, 0; stay('other group') };
    child { POSIX::setsid(); stay('other session') };
    child { child { POSIX::setsid(); child { stay('daemon') } } };
    child { setpgrp 0, $supervisor; stay('group of the supervisor') };
    child { $SIG{$_} = 'IGNORE' for qw(TERM HUP INT PIPE CHLD); POSIX::setsid(); stay('deaf') };
    child { POSIX::setsid(); syswrite $alive, "stopped\n"; syswrite $told, '.'; kill 'STOP', $$; sleep 600 };
    # One that takes its orphans itself, until it is ended.
    child { syscall($ARGV[0], 36, 1, 0, 0, 0); child { POSIX::setsid(); child { stay('orphan of another') } }; stay('reaper') };
    setpgrp 0, $supervisor;
    for (1 .. 9) { sysread $here, my $dot, 1 }
}

my @results;
for my $line (split /\n/, $prompt) {
    my ($what, @rest) = split ' ', $line;
    next if !defined $what;
    if ($what eq 'call') { push @results, made(@rest) }
    if ($what =~ /^scatter/) {
        @ARGV = ($rest[1] + 0);
        scatter($rest[0]);
        if ($what eq 'scatter-and-end') { answer('ended'); exit 0 }
        say_half('half');
        sleep 600 while 1;
    }
    if ($what eq 'flee') {
        open $alive, '>', "$own/alive" or die;
        # An end all the same, so that a test that fails leaves nothing behind.
        my $end = time + 60;
        for (1 .. 30) {
            child { POSIX::setsid(); while (time < $end) { POSIX::_exit(0) if fork } };
        }
        syswrite $alive, "here\n";
        say_half('half');
        sleep 600 while 1;
    }
}
answer(join ' ', @results);
