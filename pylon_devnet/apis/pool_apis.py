"""`SwapRuntimeApi` and `SubnetRegistrationRuntimeApi`: constant-product pools without fees."""

from collections.abc import Callable
from typing import Any

from pylon_devnet.chain_state import StateReader
from pylon_devnet.subnet_state import RAO_PER_TAO, ROOT_NETUID, netuids, value


def alpha_price(state: StateReader, netuid: int) -> int:
    """Return the price of one alpha in rao; 1 TAO on the root network."""
    if netuid == ROOT_NETUID:
        return RAO_PER_TAO
    alpha = int(value(state, "SubnetAlphaIn", netuid))
    return int(value(state, "SubnetTAO", netuid)) * RAO_PER_TAO // alpha if alpha else 0


def _prices(state: StateReader) -> list[dict[str, int]]:
    return [{"netuid": netuid, "price": alpha_price(state, netuid)} for netuid in netuids(state)]


def _buy(state: StateReader, netuid: int, tao: int) -> dict[str, int]:
    pool_tao, pool_alpha = _pool(state, netuid)
    alpha = pool_alpha * tao // (pool_tao + tao) if pool_tao else 0
    ideal = tao * pool_alpha // pool_tao if pool_tao else 0
    return _quote(tao=tao, alpha=alpha, alpha_slippage=ideal - alpha)


def _sell(state: StateReader, netuid: int, alpha: int) -> dict[str, int]:
    pool_tao, pool_alpha = _pool(state, netuid)
    tao = pool_tao * alpha // (pool_alpha + alpha) if pool_alpha else 0
    ideal = alpha * pool_tao // pool_alpha if pool_alpha else 0
    return _quote(tao=tao, alpha=alpha, tao_slippage=ideal - tao)


def _pool(state: StateReader, netuid: int) -> tuple[int, int]:
    return int(value(state, "SubnetTAO", netuid)), int(value(state, "SubnetAlphaIn", netuid))


def _quote(
    *, tao: int, alpha: int, tao_slippage: int = 0, alpha_slippage: int = 0
) -> dict[str, int]:
    return {
        "tao_amount": tao,
        "alpha_amount": alpha,
        "tao_fee": 0,
        "alpha_fee": 0,
        "tao_slippage": tao_slippage,
        "alpha_slippage": alpha_slippage,
    }


def _registration_cost(state: StateReader) -> int:
    return int(value(state, "NetworkLastLockCost"))


API_METHODS: dict[str, Callable[..., Any]] = {
    "SwapRuntimeApi_current_alpha_price": alpha_price,
    "SwapRuntimeApi_current_alpha_price_all": _prices,
    "SwapRuntimeApi_sim_swap_tao_for_alpha": _buy,
    "SwapRuntimeApi_sim_swap_alpha_for_tao": _sell,
    "SubnetRegistrationRuntimeApi_get_network_registration_cost": _registration_cost,
}
