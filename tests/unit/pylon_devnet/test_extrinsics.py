import pytest

from pylon_devnet.extrinsics import Era, MalformedExtrinsicError, parse_extrinsic


def test_an_immortal_era_is_always_valid() -> None:
    era = Era.decode(b"\x00\x00")
    assert era == Era(None)
    assert (era.birth(1000), era.death(1000)) == (0, None)


@pytest.mark.parametrize(
    ("current", "birth", "death"), [(5, 5, 69), (68, 5, 69), (69, 69, 133), (0, 5, 69)]
)
def test_a_mortal_era_lasts_its_period(current: int, birth: int, death: int) -> None:
    era = Era(64, 5)
    assert (era.birth(current), era.death(current)) == (birth, death)


def test_the_two_bytes_of_an_era_hold_period_and_phase() -> None:
    # Period 64 has the exponent 5; the phase is not quantized below a period of 4096.
    assert Era.decode((5 | 42 << 4).to_bytes(2, "little")) == Era(64, 42)


@pytest.mark.parametrize("raw", [b"", b"\x00", b"\x04\x04", b"\x08\x84\x01", b"\xff" * 40])
def test_malformed_extrinsics_are_rejected(raw: bytes) -> None:
    with pytest.raises(MalformedExtrinsicError, match="not an extrinsic of this chain"):
        parse_extrinsic(raw)
