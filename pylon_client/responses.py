"""What the methods of the client return: the contract's models under the names of the calls."""

from pylon_client.contract.models import BlockInfo, SubnetNeurons

GetLatestBlockInfoResponse = BlockInfo
GetNeuronsResponse = SubnetNeurons
