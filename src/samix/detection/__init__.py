"""Transfer to detection: scenes, Pascal VOC folders, Faster R-CNN in C4 form, COCO's score."""
