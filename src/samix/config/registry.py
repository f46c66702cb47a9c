"""Names that parameters choose from, each with the place of its class or function, "module:name".

A new policy, method, data source, detector or evaluation protocol is a file of its own, one line here and a
test. Modules are imported when a name is looked up (see `samix.config.names`).
"""

POLICIES: dict[str, str] = {
    "mixup": "samix.mixup.policies.mixup:Mixup",
    "cutmix": "samix.mixup.policies.cutmix:CutMix",
    "fmix": "samix.mixup.policies.fmix:FMix",
    "gridmix": "samix.mixup.policies.gridmix:GridMix",
    "resizemix": "samix.mixup.policies.resizemix:ResizeMix",
    "smoothmix": "samix.mixup.policies.smoothmix:SmoothMix",
    "manifoldmix": "samix.mixup.policies.manifoldmix:ManifoldMix",
    "patchup": "samix.mixup.policies.patchup:PatchUp",
    "alignmix": "samix.mixup.policies.alignmix:AlignMix",
    "saliencymix": "samix.mixup.policies.saliencymix:SaliencyMix",
    "guidedmixup": "samix.mixup.policies.guidedmixup:GuidedMixup",
    "puzzlemix": "samix.mixup.policies.puzzlemix:PuzzleMix",
    "attentivemix": "samix.mixup.policies.attentivemix:AttentiveMix",
    "snapmix": "samix.mixup.policies.snapmix:SnapMix",
    "saliency_grafting": "samix.mixup.policies.saliency_grafting:SaliencyGrafting",
    "comixup": "samix.mixup.policies.comixup:CoMixup",
    "supermix": "samix.mixup.policies.supermix:SuperMix",
    "stackmix": "samix.mixup.policies.stackmix:StackMix",
    "augmix": "samix.mixup.policies.augmix:AugMix",
    "pixmix": "samix.mixup.policies.pixmix:PixMix",
    "transmix": "samix.mixup.policies.transmix:TransMix",
    "tokenmix": "samix.mixup.policies.tokenmix:TokenMix",
    "tla": "samix.mixup.policies.tla:TLA",
    "mixpro": "samix.mixup.policies.mixpro:MixPro",
    "smmix": "samix.mixup.policies.smmix:SMMix",
    "inter_intra": "samix.mixup.policies.inter_intra:InterIntra",
    "random_choice": "samix.mixup.policies.random_choice:RandomChoice",
    "automix": "samix.mixup.policies.automix:AutoMix",
    "adautomix": "samix.mixup.policies.adautomix:AdAutoMix",
    "samix": "samix.mixup.policies.samix:SAMix",
    "samix_p": "samix.mixup.policies.samix_p:SAMixP",
}
"""Subclasses of `samix.mixup.Policy`."""

METHODS: dict[str, str] = {
    "moco": "samix.methods.moco:MoCo",
}
"""Self-supervised methods."""

SOURCES: dict[str, str] = {
    "digits": "samix.data.sources.digits:Digits",
    "fashion_mnist": "samix.data.sources.fashion_mnist:FashionMnist",
    "cifar10": "samix.data.sources.cifar10:Cifar10",
    "cifar100": "samix.data.sources.cifar100:Cifar100",
    "stl10": "samix.data.sources.stl10:Stl10",
    "tiny_imagenet": "samix.data.sources.tiny_imagenet:TinyImagenet",
    "cub200": "samix.data.sources.cub200:Cub200",
    "aircraft": "samix.data.sources.aircraft:Aircraft",
    "folder": "samix.data.sources.folder:Folder",
}
"""Subclasses of `samix.data.sources.Source`, made from a root and whether to download."""

DETECTORS: dict[str, str] = {
    "faster_rcnn_c4": "samix.detection.faster_rcnn_c4:build_faster_rcnn_c4",
}
"""Functions that build a detector; `samix.detection.detectors` has their signature."""

EVALUATIONS: dict[str, str] = {
    "linear": "samix.evaluation.probe:linear_protocol",
    "knn": "samix.evaluation.knn:knn_protocol",
}
"""Functions that evaluate a frozen backbone; `samix.evaluation.protocol` has their signature."""
