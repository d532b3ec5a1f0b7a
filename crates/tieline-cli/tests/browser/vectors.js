// Called with the module `wire` and the golden vectors: what of them the page's codec gets wrong.
async (wire, vectors) => {
  const wrong = [];
  let checked = 0;
  const is = (name, got, wanted) => {
    checked += 1;
    if (JSON.stringify(got) !== JSON.stringify(wanted)) wrong.push(`${name}: ${JSON.stringify(got)} instead of ${JSON.stringify(wanted)}`);
  };
  const bytes = (hex) => Uint8Array.from(hex.match(/../g) ?? [], (byte) => parseInt(byte, 16));
  const hex = (data) => Array.from(data, (byte) => byte.toString(16).padStart(2, "0")).join("");
  const id = (uuid) => uuid.replaceAll("-", "");
  const fails = (step) => {
    try {
      step();
      return "nothing";
    } catch (error) {
      return error.name;
    }
  };

  for (const { name, id } of vectors.channels.names) is(`channel ${name}`, wire.uuid(await wire.channelId(name)), id);
  for (const { name, hex: wanted, entries } of vectors.metadata.valid) {
    is(`metadata ${name}`, wire.decodeMetadata(bytes(wanted)).map(([key, value]) => [key, hex(value)]), entries.map((entry) => [entry.name, entry.value_hex]));
    is(`metadata ${name}, written`, hex(wire.encodeMetadata(entries.map((entry) => [entry.name, bytes(entry.value_hex)]))), wanted);
  }
  // Where only the length breaks a rule, it is the place that judges.
  for (const { name, hex: given, error } of vectors.metadata.invalid) {
    if (error !== "too-long") is(`metadata ${name}`, fails(() => wire.decodeMetadata(bytes(given))), "Violation");
  }
  for (const frame of vectors.frames) {
    const [got, ...more] = new wire.Decoder().push(bytes(frame.hex), () => 65536);
    is(`${frame.name}, how many`, more.length, 0);
    is(frame.name, [got.type, got.flags, String(got.value), got.request, got.client, got.channel], [
      frame.type, frame.flag_bits, frame.value, id(frame.request), id(frame.client), id(frame.channel),
    ]);
    if (frame.body_hex !== undefined) {
      const body = got.type === wire.TYPE.start ? wire.splitStart(got.payload)[1] : got.payload;
      is(`${frame.name}, its body`, hex(body), frame.body_hex);
    }
    is(`${frame.name}, written`, hex(wire.encode({ ...got, payload: [got.payload] })), frame.hex);
  }
  for (const { name, pieces, frames } of vectors.streams) {
    const decoder = new wire.Decoder();
    const got = pieces.flatMap((piece) => [...decoder.push(bytes(piece), () => 65536)].map((frame) => hex(wire.encode({ ...frame, payload: [frame.payload] }))));
    is(`stream ${name}`, got, frames);
  }
  return { checked, wrong };
}
