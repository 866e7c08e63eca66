"""The page in a real browser: silent, offline, operable by keyboard, legible."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator

import pytest

from tests.reporting.report.example_study import ExampleStudy
from tests.stages import run_stage

webdriver = pytest.importorskip("selenium.webdriver", reason="selenium is not installed")

from selenium.webdriver.common.action_chains import ActionChains  # noqa: E402
from selenium.webdriver.common.by import By  # noqa: E402
from selenium.webdriver.common.keys import Keys  # noqa: E402

pytestmark = pytest.mark.slow

FLAGS = (
    "--headless=new",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
)
# Contrast of every visible text against what lies behind it: (ratio, text), worst first.
CONTRASTS = """
const channel = c => (c /= 255) <= 0.04045 ? c / 12.92 : ((c + 0.055) / 1.055) ** 2.4;
const parse = text => (text.match(/[\\d.]+/g) || []).map(Number);
const light = c => 0.2126 * channel(c[0]) + 0.7152 * channel(c[1]) + 0.0722 * channel(c[2]);
function behind(element) {
  for (; element; element = element.parentElement) {
    const c = parse(getComputedStyle(element).backgroundColor);
    if (c.length === 3 || c[3] === 1) return c;
  }
  return [255, 255, 255];
}
const found = [];
const walker = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
while (walker.nextNode()) {
  const element = walker.currentNode.parentElement;
  if (!walker.currentNode.data.trim() || !element.checkVisibility()) continue;
  if (["SCRIPT", "STYLE", "OPTION"].includes(element.tagName)) continue;
  const a = light(parse(getComputedStyle(element).color)), b = light(behind(element));
  found.push([(Math.max(a, b) + 0.05) / (Math.min(a, b) + 0.05), walker.currentNode.data.trim()]);
}
return found.sort((x, y) => x[0] - y[0]).slice(0, 5);
"""


@pytest.fixture(scope="module")
def address(finished: ExampleStudy) -> str:
    """The page of the finished study as a file URL."""
    run_stage("report", *finished.arguments())
    return finished.out.as_uri()


@pytest.fixture
def browser(tmp_path) -> Iterator:
    """Headless Chromium with a profile of its own."""
    programs = [shutil.which("chromium") or shutil.which("chromium-browser")]
    programs.append(shutil.which("chromedriver"))
    if None in programs:
        pytest.skip("no browser (Debian: apt-get install chromium chromium-driver)")
    options = webdriver.ChromeOptions()
    options.binary_location = programs[0]
    for flag in (*FLAGS, f"--user-data-dir={tmp_path}/profile", "--window-size=1280,900"):
        options.add_argument(flag)
    options.set_capability("goog:loggingPrefs", {"browser": "ALL", "performance": "ALL"})
    service = webdriver.ChromeService(executable_path=programs[1])
    driver = webdriver.Chrome(options=options, service=service)
    yield driver
    driver.quit()


def view(browser, address: str, width: int = 1280, theme: str = "light") -> None:
    """Open the page at a width in CSS pixels and with a color scheme."""
    size = {"width": width, "height": 900, "deviceScaleFactor": 1, "mobile": width < 500}
    browser.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", size)
    preferences = {"prefers-color-scheme": theme, "prefers-reduced-motion": "reduce"}
    features = [{"name": name, "value": value} for name, value in preferences.items()]
    browser.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": features})
    browser.get(address)


def shown_categories(browser) -> set[str]:
    """Categories of the sample responses that can be seen."""
    samples = browser.find_elements(By.CSS_SELECTOR, ".sample")
    return {s.get_attribute("data-category") for s in samples if s.is_displayed()}


def press(browser, *keys: str) -> None:
    """Press keys one after another, whatever has the focus."""
    ActionChains(browser).send_keys(*keys).perform()


def tab_to(browser, condition: str) -> None:
    """Press Tab until the focused element `e` meets a condition in JavaScript."""
    for _ in range(400):
        press(browser, Keys.TAB)
        if browser.execute_script(f"const e = document.activeElement; return {condition};"):
            return
    pytest.fail(f"Tab never reaches an element with {condition}")


def test_no_console_message_and_no_request(browser, address):
    view(browser, address)
    for details in browser.find_elements(By.CSS_SELECTOR, "main > section > details > summary"):
        details.click()
    assert browser.get_log("browser") == []
    events = [json.loads(entry["message"])["message"] for entry in browser.get_log("performance")]
    requested = [
        event["params"]["request"]["url"]
        for event in events
        if event["method"] == "Network.requestWillBeSent"
        and event["params"]["documentURL"] == address  # not those of the browser's own start page
    ]
    assert address in requested
    assert [url for url in requested if url != address and not url.startswith("data:")] == []


def test_texts_of_models_do_not_run(browser, address):
    view(browser, address)
    assert browser.execute_script("return window.hacked") is None
    assert browser.execute_script("return document.querySelectorAll('.sample img').length") == 0


def test_policy_stops_a_script_that_got_in(browser, address):
    view(browser, address)
    browser.execute_script(
        "document.body.insertAdjacentHTML('beforeend',"
        ' \'<img src="data:," onerror="window.hacked = true">\')'
    )
    browser.execute_async_script("setTimeout(arguments[0], 300)")
    assert browser.execute_script("return window.hacked") is None
    assert "Content Security Policy" in str(browser.get_log("browser"))


def test_pictures_are_there(browser, address):
    view(browser, address)
    widths = browser.execute_script(
        "return Array.from(document.images, image => image.complete && image.naturalWidth)"
    )
    assert widths == [400, 400]


def test_filter_works_by_keyboard(browser, address, finished):
    view(browser, address)
    first, second, *_ = finished.categories
    assert shown_categories(browser) == {first}
    tab_to(browser, "e.name === 'category'")
    press(browser, Keys.ARROW_RIGHT)
    assert shown_categories(browser) == {second}
    assert browser.find_element(By.ID, "shown").text == "3 of 36 items shown"
    press(browser, Keys.ARROW_LEFT, Keys.ARROW_LEFT)  # round to the last choice, which is all
    assert shown_categories(browser) == set(finished.categories)
    tab_to(browser, "e.name === 'arm'")
    press(browser, "lora")
    answers = browser.find_elements(By.CSS_SELECTOR, ".arm-answers")
    assert {a.get_attribute("data-arm") for a in answers if a.is_displayed()} == {"lora"}


def test_skip_link_and_details_work_by_keyboard(browser, address):
    view(browser, address)
    press(browser, Keys.TAB)
    assert browser.switch_to.active_element.text == "Skip to the content"
    press(browser, Keys.ENTER)
    assert browser.switch_to.active_element.get_attribute("id") == "content"
    tab_to(browser, "e.tagName === 'SUMMARY'")
    press(browser, Keys.ENTER)
    parent = browser.switch_to.active_element.find_element(By.XPATH, "..")
    assert parent.get_attribute("open") is not None


def test_focus_can_be_seen(browser, address):
    view(browser, address)
    for condition in ("e.tagName === 'SUMMARY'", "e.className === 'scroll'"):
        tab_to(browser, condition)
        outline = browser.execute_script(
            "return getComputedStyle(document.activeElement).outlineWidth"
        )
        assert outline == "3px"


@pytest.mark.parametrize("theme", ["light", "dark"])
@pytest.mark.parametrize("width", [1280, 390])
def test_fits_and_is_legible(browser, address, width, theme):
    view(browser, address, width, theme)
    assert browser.execute_script("return document.documentElement.scrollWidth") <= width
    worst = browser.execute_script(CONTRASTS)
    assert len(worst) == 5
    assert worst[0][0] >= 4.5, worst


def test_wide_tables_fit_a_laptop_and_scroll_in_their_box_by_keyboard_on_a_phone(browser, address):
    box = "const box = document.querySelector('.verdicts').parentElement; return "
    view(browser, address, 1200)
    assert browser.execute_script(box + "box.scrollWidth - box.clientWidth") <= 0
    view(browser, address, 499)
    assert browser.execute_script(box + "box.scrollWidth - box.clientWidth") > 0
    tab_to(browser, "e.querySelector('.verdicts') && e.className === 'scroll'")
    press(browser, *[Keys.ARROW_RIGHT] * 5)
    browser.execute_async_script("setTimeout(arguments[0], 300)")
    assert browser.execute_script(box + "box.scrollLeft") > 0


def test_without_script_everything_is_shown(browser, address, finished):
    browser.execute_cdp_cmd("Emulation.setScriptExecutionDisabled", {"value": True})
    view(browser, address)
    browser.execute_cdp_cmd("Emulation.setScriptExecutionDisabled", {"value": False})
    assert shown_categories(browser) == set(finished.categories)
    assert not browser.find_element(By.ID, "filter").is_displayed()


def test_prints(browser, address):
    view(browser, address)
    printed = browser.execute_cdp_cmd("Page.printToPDF", {"paperWidth": 8.3, "paperHeight": 11.7})
    assert printed["data"].startswith("JVBERi0")  # base64 of %PDF-
