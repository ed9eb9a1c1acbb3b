// What a subscriber of a run holds, by the client's rule: bytes held of each attempt, what `offset` says is known is dropped.
import assert from 'node:assert/strict';

const RUN = '{ state steps { id state attempt output } }';

export class RunText {
  query = `subscription ($id: ID!, $after: Cursor) { orchestration(id: $id, after: $after) {
    __typename
    ... on Snapshot { cursor orchestration ${RUN} partial { stepId attempt text } }
    ... on EventMessage { cursor event { type } step { id attempt } }
    ... on TextDelta { cursor stepId attempt offset text }
    ... on AttemptSuperseded { cursor stepId attempt keepBytes reason }
    ... on GapMarker { cursor steps { stepId attempt text } }
    ... on Terminal { cursor state orchestration ${RUN} }
  } }`;
  cursor = null;
  isOver = false;
  /** Bytes of each attempt. */
  texts = new Map();
  superseded = 0;

  constructor(id) {
    this.id = id;
    this.ended = new Promise((resolve) => {
      this.end = resolve;
    });
  }

  variables() {
    return { id: this.id, after: this.cursor };
  }

  of(stepId, attempt) {
    return this.texts.get(`${stepId} ${attempt}`) ?? Buffer.alloc(0);
  }

  hold(stepId, attempt, bytes) {
    this.texts.set(`${stepId} ${attempt}`, bytes);
  }

  take({ orchestration: message }) {
    if (this.isOver) return;
    this.cursor = message.cursor;
    this[message.__typename](message);
  }

  /** Everything up to now: of a client that comes back to the beginning, too. */
  Snapshot({ orchestration, partial }) {
    for (const step of orchestration.steps) {
      if (step.state === 'COMPLETED') this.hold(step.id, step.attempt, Buffer.from(step.output));
    }
    for (const { stepId, attempt, text } of partial) {
      const [known, told] = [this.of(stepId, attempt), Buffer.from(text)];
      assert.equal(Buffer.compare(known.subarray(0, told.length), told.subarray(0, known.length)), 0, 'a snapshot says other text');
      if (told.length > known.length) this.hold(stepId, attempt, told);
    }
  }

  EventMessage() {}

  TextDelta({ stepId, attempt, offset, text }) {
    const [known, told] = [this.of(stepId, attempt), Buffer.from(text)];
    assert(offset <= known.length, `text is missing before ${offset}`);
    const overlap = known.length - offset;
    if (overlap < told.length) this.hold(stepId, attempt, Buffer.concat([known, told.subarray(overlap)]));
  }

  AttemptSuperseded({ stepId, attempt, keepBytes }) {
    this.superseded += 1;
    this.hold(stepId, attempt, this.of(stepId, attempt).subarray(0, keepBytes));
  }

  GapMarker({ steps }) {
    for (const { stepId, attempt, text } of steps) this.hold(stepId, attempt, Buffer.from(text));
  }

  Terminal({ state }) {
    this.isOver = true;
    this.end(state);
  }

  /** Every reply is what its attempt's text adds up to. */
  agrees({ steps }) {
    for (const step of steps) {
      assert.equal(step.state, 'COMPLETED');
      assert.equal(this.of(step.id, step.attempt).toString(), step.output, `the text of ${step.id}`);
    }
  }
}
