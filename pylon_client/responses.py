"""Return types of the client's methods: the contract's models under the published names."""

from pylon_client.contract import models, writes
from pylon_client.contract.jobs import Job, JobList

GetLatestBlockInfoResponse = models.BlockInfo
GetExtrinsicResponse = models.Extrinsic
GetDrandLastStoredRoundResponse = models.DrandRound
GetIdentitiesResponse = models.Identities
GetNeuronsResponse = models.SubnetNeurons
GetNeuronChangesResponse = models.NeuronChanges
GetValidatorsResponse = models.SubnetValidators
GetCommitmentsResponse = models.SubnetCommitments
GetCommitmentResponse = models.Commitment
GetTypedCommitmentsResponse = models.SubnetTypedCommitments
GetTypedCommitmentResponse = models.HotkeyTypedCommitment
GetAllRevealedCommitmentsResponse = models.SubnetRevealedCommitments
GetRevealedCommitmentsResponse = models.HotkeyRevealedCommitments
GetCertificatesResponse = models.SubnetCertificates
GetCertificateResponse = models.NeuronCertificate
GetHyperparametersResponse = models.SubnetHyperparameters
GetPriceResponse = models.SubnetPrice
GetPricesResponse = models.SubnetPrices
GetLatestEvmAssociationsResponse = models.SubnetEvmAssociations
GetWeightsStatusResponse = models.WeightsStatus

SetWeightsResponse = writes.WeightsScheduled
SetCommitmentResponse = writes.CommitmentSet
SetRevealedCommitmentResponse = writes.RevealedCommitmentSet
GenerateCertificateResponse = models.NeuronCertificateKeypair
GetJobsResponse = JobList
GetJobResponse = Job
