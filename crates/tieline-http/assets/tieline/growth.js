// How large a window is: as large as the way is long, and no larger. docs/protocol.md says why ("Credit").

const FIRST = 384 * 1024;
/** A window doesn't grow while the way there and back is shorter, in ms. */
const WAY_SHORT = 0.5;

/** The size of one body's window, which doubles while rounds of grants show that it is the limit. */
export class Growth {
  constructor(most, now = () => performance.now()) {
    this.most = most;
    this.size = Math.min(FIRST, most);
    this.now = now;
    this.way = Infinity;
    this.round = undefined;
    this.isFirst = true;
  }

  /** So many bytes of the body have come. */
  came(arrived) {
    const { round } = this;
    if (!round || round.isAnswered || arrived <= round.beyond) return;
    round.isAnswered = true;
    this.way = Math.min(this.way, this.now() - round.began);
  }

  /** A grant is about to be made, `granted` being the one before. */
  granting(granted, arrived) {
    const { round } = this;
    if (this.size === this.most || (round && !round.isAnswered)) return;
    const began = this.now();
    if (round) this.judge(arrived - round.arrived, began - round.began);
    this.round = { began, beyond: granted, arrived, isAnswered: false };
  }

  judge(bytes, took) {
    if (this.isFirst) {
      this.isFirst = false;
    } else if (this.way >= WAY_SHORT && bytes * this.way * 10 > this.size * 7 * took) {
      this.size = Math.min(this.size * 2, this.most);
    }
  }
}
