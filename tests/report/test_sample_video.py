"""The sandbox's outputs are videos that a browser plays: every picture is decoded to exactly what was drawn."""

import base64

import pytest

from reconciler.sandbox.mp4 import mp4
from reconciler.sandbox.sample_media import video

PLAYED = """async ([source, times]) => {
  const video = document.createElement("video"), canvas = document.createElement("canvas");
  video.muted = true;
  video.src = source;
  const seen = [];
  await new Promise((done, fail) => { video.onloadeddata = done; video.onerror = () => fail(video.error.message); });
  [canvas.width, canvas.height] = [video.videoWidth, video.videoHeight];
  const at = canvas.getContext("2d", { willReadFrequently: true });
  const drawn = () => {
    at.drawImage(video, 0, 0);
    return [...at.getImageData(0, 0, video.videoWidth, video.videoHeight).data].filter((_, i) => i % 4 === 0);
  };
  for (const time of times) {
    await new Promise((done, fail) => {
      video.onseeked = done;
      video.onerror = () => fail(video.error.message);
      video.currentTime = time;
    });
    let picture = drawn();
    // a busy browser says that it has got there while it still shows the picture before; each differs from that
    for (let turn = 0; turn < 500 && String(picture) === String(seen.at(-1)); turn++) {
      await new Promise(done => setTimeout(done, 20));
      picture = drawn();
    }
    seen.push(picture);
  }
  return { width: video.videoWidth, height: video.videoHeight, duration: video.duration, seen };
}"""


def played(browser, content, times):
    page = browser.new_page()
    try:
        return page.evaluate(PLAYED, [f"data:video/mp4;base64,{base64.b64encode(content).decode()}", times])
    finally:
        page.close()


def gray(rows):
    """A picture without colors."""
    half = [bytearray([128]) * (len(rows[0]) // 2) for _ in range(len(rows) // 2)]
    return rows, half, half


@pytest.mark.sweep
def test_every_picture_is_what_was_drawn(browser):
    """Intent: flat blocks, blocks as they are, bytes that look like a unit's start, blocks that change and that stay."""
    pictures = []
    for step in range(8):
        rows = [bytearray([60]) * 64 for _ in range(32)]
        for y in range(10, 20):
            rows[y][step * 6 : step * 6 + 8] = bytes([200]) * 8
        rows[31][40:48] = bytes([0, 0, 1, 0, 0, 3, 0, 0])
        pictures.append(gray(rows))
    found = played(browser, mp4(pictures, 64, 32, pace=4), [number / 4 + 0.01 for number in range(8)])
    assert (found["width"], found["height"], found["duration"]) == (64, 32, 2)
    for (rows, *_), seen in zip(pictures, found["seen"], strict=True):
        wanted = [min(255, max(0, round((value - 16) * 255 / 219))) for row in rows for value in row]
        assert max(abs(a - b) for a, b in zip(wanted, seen, strict=True)) <= 3


@pytest.mark.sweep
def test_an_output_shows_its_title_and_moves(browser):
    found = played(browser, video("proj_1", "Autumn teaser"), [0.01, 1.76])
    assert (found["width"], found["height"], found["duration"]) == (320, 180, 2)
    first, last = found["seen"][0], found["seen"][-1]
    title = range(118 * 320, 140 * 320)
    assert sum(first[i] > 240 for i in title) > 500  # white letters on black
    assert [first[i] for i in title] == [last[i] for i in title]
    assert first != last
    assert len(video("proj_1", "Autumn teaser")) < 120_000


@pytest.mark.sweep
def test_outputs_differ_by_project_and_title():
    outputs = {
        video(name, title) for name in ("proj_1", "proj_2") for title in ("A", "B", "", "日本 ünïcode \0", "x" * 999)
    }
    assert len(outputs) >= 8
    assert video("proj_1", "A") == video("proj_1", "A")
